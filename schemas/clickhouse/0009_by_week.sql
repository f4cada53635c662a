-- The rows by week of accepted_at, so that a question about a day reads a week at most and not the year. The order within a
-- week stays that of the id: FINAL makes one of repeats by it, over all weeks that a question reads. The rows are copied, what
-- is stored meanwhile is forwarded, and then the tables change names; cut off anywhere, it goes on where it was.

-- while: SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN ('predictions_raw', 'predictions_raw_local') AND engine LIKE '%MergeTree' AND partition_key = ''
CREATE TABLE IF NOT EXISTS predictions_by_week
(
    id UUID CODEC(NONE),
    frame_id UUID CODEC(NONE),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    sequence Nullable(Int64) CODEC(T64, ZSTD(1)),
    captured_at DateTime64(3, 'UTC') CODEC(T64, ZSTD(1)),
    accepted_at DateTime64(3, 'UTC') CODEC(T64, ZSTD(1)),
    completed_at DateTime64(3, 'UTC') CODEC(T64, ZSTD(1)),
    status Enum8('dropped' = 1, 'dead_lettered' = 2, 'ok' = 3) CODEC(ZSTD(1)),
    -- Which repeat wins: a result beats a dead letter (it was replayed), a dead letter beats a drop.
    rank UInt8 MATERIALIZED multiIf(status = 'ok', 3, status = 'dead_lettered', 2, 1) CODEC(ZSTD(1)),
    stage LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    reason LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    detail Nullable(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    version LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    fallback_for LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    task LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    image_width Nullable(UInt32) CODEC(ZSTD(1)),
    image_height Nullable(UInt32) CODEC(ZSTD(1)),
    labels Nested(class_id Int32, label LowCardinality(String), score Float32) CODEC(ZSTD(1)),
    detections Nested(class_id Int32, label LowCardinality(String), score Float32, x1 Float32, y1 Float32, x2 Float32, y2 Float32) CODEC(ZSTD(1)),
    embedding Array(Float32) DEFAULT [] CODEC(ZSTD(1)),
    luma Nullable(Float64) CODEC(ZSTD(1)),
    contrast Nullable(Float64) CODEC(ZSTD(1)),
    sharpness Nullable(Float64) CODEC(ZSTD(1)),
    timings_ms Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
    request_id Nullable(String) CODEC(ZSTD(1)),
    trace_id Nullable(String) CODEC(ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(T64, ZSTD(1)),
    cached Bool DEFAULT false CODEC(ZSTD(1)),
    INDEX frame_id_bloom frame_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(rank)
-- What stands beside the week is the same for every row: ClickHouse keeps the least and the most of each column that is named
-- here for each part, so that questions about captured_at or inserted_at too leave out the parts of other times.
PARTITION BY (toMonday(accepted_at), captured_at > captured_at, inserted_at > inserted_at)
ORDER BY (tenant, source, id)
-- A week that nothing is added to any more becomes one part, in which FINAL has nothing left to do.
SETTINGS min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS predictions_forwarded TO predictions_by_week AS SELECT * FROM predictions_raw;

-- Rows that are there already become one with their copies. FINAL: repeats with other times would lie in weeks that never merge.
INSERT INTO predictions_by_week SELECT * FROM predictions_raw FINAL SETTINGS max_partitions_per_insert_block = 0, parallel_distributed_insert_select = 2;

-- while: SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN ('predictions_raw', 'predictions_raw_local') AND engine LIKE '%MergeTree' AND partition_key = '' AND total_rows > 0
-- What was being inserted when the view was made is forwarded nowhere, and may have come too late for the copy. It has ended by now.
SELECT sleep(3);

INSERT INTO predictions_by_week SELECT * FROM predictions_raw WHERE inserted_at >= (SELECT min(metadata_modification_time) - toIntervalHour(1) FROM system.tables WHERE database = currentDatabase() AND name = 'predictions_forwarded') SETTINGS max_partitions_per_insert_block = 0, parallel_distributed_insert_select = 2;

-- while: SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN ('predictions_raw', 'predictions_raw_local') AND engine LIKE '%MergeTree' AND partition_key = ''
RENAME TABLE predictions_raw TO predictions_by_id, predictions_by_week TO predictions_raw;

-- Cut off between the two names.
-- while: SELECT count() = 0 FROM system.tables WHERE database = currentDatabase() AND name IN ('predictions_raw', 'predictions_raw_local') AND engine LIKE '%MergeTree'
RENAME TABLE predictions_by_week TO predictions_raw;
