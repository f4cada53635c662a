-- One row for each frame and model, whatever became of it. Identity is the id alone, and it depends on nothing a retry may
-- change: captured_at does change (an HTTP retry has a clock of its own), so it is neither in the sort key nor a partition key.
-- One table on purpose: inserts into several are not atomic, so boxes and the embedding live in the row.
CREATE TABLE IF NOT EXISTS predictions_raw
(
    id UUID,
    frame_id UUID,
    tenant LowCardinality(String),
    source LowCardinality(String),
    sequence Nullable(Int64),
    captured_at DateTime64(3, 'UTC'),
    accepted_at DateTime64(3, 'UTC'),
    completed_at DateTime64(3, 'UTC'),
    status Enum8('dropped' = 1, 'dead_lettered' = 2, 'ok' = 3),
    -- Which repeat wins: a result beats a dead letter (it was replayed), a dead letter beats a drop.
    rank UInt8 MATERIALIZED multiIf(status = 'ok', 3, status = 'dead_lettered', 2, 1),
    stage LowCardinality(Nullable(String)),
    reason LowCardinality(Nullable(String)),
    detail Nullable(String),
    model LowCardinality(String),
    version LowCardinality(Nullable(String)),
    task LowCardinality(Nullable(String)),
    image_width Nullable(UInt32),
    image_height Nullable(UInt32),
    labels Nested(class_id Int32, label LowCardinality(String), score Float32),
    detections Nested(class_id Int32, label LowCardinality(String), score Float32, x1 Float32, y1 Float32, x2 Float32, y2 Float32),
    -- As text on the wire, floats in the table: base64 is a quarter of the decimal digits and needs no parsing.
    embedding_base64 String EPHEMERAL '',
    embedding Array(Float32) DEFAULT reinterpret(base64Decode(embedding_base64), 'Array(Float32)') CODEC(ZSTD(1)),
    luma Nullable(Float64),
    contrast Nullable(Float64),
    sharpness Nullable(Float64),
    timings_ms Map(LowCardinality(String), Float64),
    request_id Nullable(String),
    trace_id Nullable(String),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX captured_at_range captured_at TYPE minmax GRANULARITY 1,
    INDEX frame_id_bloom frame_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(rank)
ORDER BY (tenant, source, id);

-- The public views: FINAL, so a repeat that is not merged away yet never shows.

CREATE VIEW IF NOT EXISTS predictions AS
SELECT
    id,
    frame_id,
    tenant,
    source,
    sequence,
    captured_at,
    accepted_at,
    completed_at,
    dateDiff('millisecond', captured_at, completed_at) AS latency_ms,
    model,
    version,
    task,
    -- The best answer of either task; boxes need not come sorted.
    arrayConcat(labels.label, detections.label)[indexOf(arrayConcat(labels.score, detections.score) AS every_score, arrayMax(every_score))] AS label,
    if(empty(every_score), NULL, arrayMax(every_score)) AS score,
    labels.class_id AS class_ids,
    labels.label AS labels,
    labels.score AS scores,
    length(detections.score) AS boxes,
    image_width,
    image_height,
    embedding,
    luma,
    contrast,
    sharpness,
    timings_ms,
    request_id,
    trace_id
FROM predictions_raw FINAL
WHERE status = 'ok';

CREATE VIEW IF NOT EXISTS detections AS
SELECT
    id AS prediction_id,
    frame_id,
    tenant,
    source,
    sequence,
    captured_at,
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

CREATE VIEW IF NOT EXISTS outcomes AS
SELECT
    id,
    frame_id,
    tenant,
    source,
    sequence,
    captured_at,
    accepted_at,
    completed_at,
    model,
    version,
    status,
    stage,
    reason,
    detail,
    request_id,
    trace_id
FROM predictions_raw FINAL;
