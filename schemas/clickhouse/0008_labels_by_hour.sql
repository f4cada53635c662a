-- When a frame was accepted, of a box too: what the rollups go by, and what rows lie in order of.
CREATE OR REPLACE VIEW detections AS
SELECT
    id AS prediction_id,
    frame_id,
    tenant,
    source,
    sequence,
    captured_at,
    accepted_at,
    model,
    version,
    box_index AS index,
    box_class_id AS class_id,
    box_label AS label,
    box_score AS score,
    box_x1 AS x1,
    box_y1 AS y1,
    box_x2 AS x2,
    box_y2 AS y2,
    image_width,
    image_height
FROM predictions_raw FINAL
ARRAY JOIN
    arrayEnumerate(detections.score) AS box_index,
    detections.class_id AS box_class_id,
    detections.label AS box_label,
    detections.score AS box_score,
    detections.x1 AS box_x1,
    detections.y1 AS box_y1,
    detections.x2 AS box_x2,
    detections.y2 AS box_y2
WHERE status = 'ok';

-- How often each class was seen, by hour: boxes of a detector, best answers of a classifier. Written by the passes of 0002.
CREATE TABLE IF NOT EXISTS rollup_labels
(
    bucket DateTime('UTC') CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    source LowCardinality(String),
    model LowCardinality(String),
    -- '' is no class: such a row counts the rows that the others were made of, whatever became of them.
    label LowCardinality(String),
    n UInt64 CODEC(T64, ZSTD(1)),
    score_sum Float64 CODEC(ZSTD(1)),
    fingerprint UInt64 CODEC(NONE),
    pass UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(pass)
ORDER BY (bucket, tenant, source, model, label);

CREATE VIEW IF NOT EXISTS labels_by_hour AS
SELECT bucket, tenant, source, model, label, n, score_sum, score_sum / n AS score_mean
FROM rollup_labels FINAL
WHERE n > 0 AND label != '' AND bucket < (SELECT toStartOfHour(until) FROM rollup_state);
