-- What a frame's picture is and where it lies: '' and 0 in rows of before this was told, and of frames that could not be read.
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS saturation Nullable(Float32) CODEC(ZSTD(1)) AFTER sharpness;
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS entropy Nullable(Float32) CODEC(ZSTD(1)) AFTER saturation;
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS content_type LowCardinality(String) CODEC(ZSTD(1));
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS size UInt32 CODEC(T64, ZSTD(1));
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS claim String CODEC(ZSTD(1));
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS log_topic LowCardinality(String) CODEC(ZSTD(1));
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS log_partition Int32 CODEC(T64, ZSTD(1));
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS log_offset Int64 CODEC(T64, ZSTD(1));

-- Frames whose pictures are kept to look at (processors/keep). One row a frame: the last reason given counts.
CREATE TABLE IF NOT EXISTS kept_frames_raw
(
    frame_id UUID CODEC(NONE),
    tenant LowCardinality(String),
    source LowCardinality(String),
    reason LowCardinality(String),
    captured_at DateTime64(3, 'UTC') CODEC(T64, ZSTD(1)),
    kept_at DateTime64(3, 'UTC') CODEC(T64, ZSTD(1)),
    content_type LowCardinality(String),
    size UInt32 CODEC(T64, ZSTD(1)),
    masked Bool,
    blob String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(kept_at)
ORDER BY (tenant, source, frame_id);

CREATE VIEW IF NOT EXISTS kept_frames AS
SELECT frame_id, tenant, source, reason, captured_at, kept_at, content_type, size, masked, blob
FROM kept_frames_raw FINAL;

-- One row for each frame, whatever became of it. The times are part of the key so that a question about a day reads a week.
CREATE VIEW IF NOT EXISTS frames AS
SELECT
    seen.frame_id AS frame_id,
    seen.tenant AS tenant,
    seen.source AS source,
    seen.sequence AS sequence,
    seen.captured_at AS captured_at,
    seen.accepted_at AS accepted_at,
    seen.models AS models,
    seen.answered AS answered,
    seen.image_width AS image_width,
    seen.image_height AS image_height,
    seen.luma AS luma,
    seen.contrast AS contrast,
    seen.sharpness AS sharpness,
    seen.saturation AS saturation,
    seen.entropy AS entropy,
    seen.content_type AS content_type,
    seen.size AS size,
    nullIf(seen.claim, '') AS claim,
    nullIf(seen.log_topic, '') AS log_topic,
    if(seen.log_topic = '', NULL, seen.log_partition) AS log_partition,
    if(seen.log_topic = '', NULL, seen.log_offset) AS log_offset,
    nullIf(kept.reason, '') AS kept,
    nullIf(kept.blob, '') AS blob
FROM
(
    SELECT
        frame_id,
        tenant,
        source,
        captured_at,
        accepted_at,
        any(raw.sequence) AS sequence,
        groupArray(raw.model) AS models,
        countIf(raw.status = 'ok') AS answered,
        max(raw.image_width) AS image_width,
        max(raw.image_height) AS image_height,
        any(raw.luma) AS luma,
        any(raw.contrast) AS contrast,
        any(raw.sharpness) AS sharpness,
        any(raw.saturation) AS saturation,
        any(raw.entropy) AS entropy,
        max(raw.content_type) AS content_type,
        max(raw.size) AS size,
        max(raw.claim) AS claim,
        argMax(raw.log_topic, raw.size) AS log_topic,
        argMax(raw.log_partition, raw.size) AS log_partition,
        argMax(raw.log_offset, raw.size) AS log_offset
    FROM predictions_raw AS raw FINAL
    GROUP BY frame_id, tenant, source, captured_at, accepted_at
) AS seen
LEFT JOIN (SELECT frame_id, tenant, reason, blob FROM kept_frames_raw FINAL) AS kept ON seen.frame_id = kept.frame_id AND seen.tenant = kept.tenant;

CREATE VIEW IF NOT EXISTS embeddings AS
SELECT id AS prediction_id, frame_id, tenant, source, captured_at, accepted_at, model, version, length(embedding) AS dimensions, embedding
FROM predictions_raw FINAL
WHERE status = 'ok' AND notEmpty(embedding);

-- One row for each phase of each answer's way.
CREATE VIEW IF NOT EXISTS timings AS
SELECT id AS prediction_id, frame_id, tenant, source, captured_at, accepted_at, model, version, phase, ms
FROM predictions_raw FINAL
ARRAY JOIN mapKeys(timings_ms) AS phase, mapValues(timings_ms) AS ms
WHERE status = 'ok';

CREATE OR REPLACE VIEW predictions AS
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
    trace_id,
    cached,
    fallback_for,
    saturation,
    entropy
FROM predictions_raw FINAL
WHERE status = 'ok';
