-- The version that was to answer, where its fallback did: null for every answer as it should be.
ALTER TABLE predictions_raw ADD COLUMN IF NOT EXISTS fallback_for LowCardinality(Nullable(String)) AFTER version;

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
    fallback_for
FROM predictions_raw FINAL
WHERE status = 'ok';
