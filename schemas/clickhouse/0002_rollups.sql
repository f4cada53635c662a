-- Counts by minute and by hour of `outcomes`, so that a chart of a month reads thousands of rows instead of millions.
-- Written by the builder in processors/sink/rollups, never by a materialised view: that sees inserts, not rows, and would count
-- a repeat for ever. The bucket is that of accepted_at: it comes with the record, so that no redelivery changes it. A client's
-- own repeat may, and then the row moves: every key the bucket had is written anew, with n = 0 where nothing is left of it.
CREATE TABLE IF NOT EXISTS rollup_minutes
(
    bucket DateTime('UTC') CODEC(Delta, ZSTD(1)),
    tenant LowCardinality(String),
    source LowCardinality(String),
    model LowCardinality(String),
    -- Without NULLs, which a sorting key should not have: '' is none.
    version LowCardinality(String),
    status Enum8('dropped' = 1, 'dead_lettered' = 2, 'ok' = 3),
    stage LowCardinality(String),
    reason LowCardinality(String),
    n UInt64 CODEC(T64, ZSTD(1)),
    -- Of the rows counted: equal to that of the same rows now, or the bucket is stale.
    fingerprint UInt64 CODEC(NONE),
    latency_ms_sum Int64 CODEC(T64, ZSTD(1)),
    -- Rows by bin; bin b holds (1.1^(b-1), 1.1^b] ms, bin 0 all up to 1 ms. Sums of it are exact, so buckets can be added up.
    latency_bins Map(UInt16, UInt64) CODEC(ZSTD(1)),
    scored UInt64 CODEC(T64, ZSTD(1)),
    score_sum Float64 CODEC(ZSTD(1)),
    boxes UInt64 CODEC(T64, ZSTD(1)),
    -- The pass that wrote it; a later one wins.
    pass UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(pass)
ORDER BY (bucket, tenant, source, model, version, status, stage, reason);

CREATE TABLE IF NOT EXISTS rollup_hours AS rollup_minutes
ENGINE = ReplacingMergeTree(pass)
ORDER BY (bucket, tenant, source, model, version, status, stage, reason);

-- A row when a pass begins, and another when it has ended. What lies in [since, until) was equal to `outcomes` at some moment in
-- between. Without a TTL: the last row tells how far the rollups go, however long ago it was written.
CREATE TABLE IF NOT EXISTS rollup_passes
(
    pass UInt64,
    builder LowCardinality(String),
    started_at DateTime64(3, 'UTC'),
    since DateTime('UTC'),
    until DateTime('UTC'),
    finished_at Nullable(DateTime64(3, 'UTC')),
    hours_rebuilt UInt32
)
ENGINE = MergeTree
ORDER BY pass;

-- How far the two views below go: what the last pass that ended has compared.
CREATE VIEW IF NOT EXISTS rollup_state AS
SELECT pass, builder, since, until, started_at, assumeNotNull(finished_at) AS finished_at, hours_rebuilt
FROM rollup_passes
WHERE finished_at IS NOT NULL
ORDER BY rollup_passes.pass DESC
LIMIT 1;

CREATE VIEW IF NOT EXISTS outcomes_by_minute AS
SELECT
    bucket,
    tenant,
    source,
    model,
    nullIf(version, '') AS version,
    status,
    nullIf(stage, '') AS stage,
    nullIf(reason, '') AS reason,
    n,
    latency_ms_sum / n AS latency_ms_mean,
    -- In the middle of its bin, so off by 5 % at most.
    arrayMap(q -> round(pow(1.1, mapKeys(latency_bins)[arrayFirstIndex(c -> c >= q * n, arrayCumSum(mapValues(latency_bins)))] - 0.5), 1), [0.5, 0.95, 0.99]) AS latency_ms_p50_p95_p99,
    latency_ms_sum,
    latency_bins,
    if(scored = 0, NULL, score_sum / scored) AS score_mean,
    scored,
    score_sum,
    boxes
FROM rollup_minutes FINAL
WHERE n > 0 AND bucket < (SELECT until FROM rollup_state);

-- Only whole hours: the one under way has its minutes above.
CREATE VIEW IF NOT EXISTS outcomes_by_hour AS
SELECT
    bucket,
    tenant,
    source,
    model,
    nullIf(version, '') AS version,
    status,
    nullIf(stage, '') AS stage,
    nullIf(reason, '') AS reason,
    n,
    latency_ms_sum / n AS latency_ms_mean,
    arrayMap(q -> round(pow(1.1, mapKeys(latency_bins)[arrayFirstIndex(c -> c >= q * n, arrayCumSum(mapValues(latency_bins)))] - 0.5), 1), [0.5, 0.95, 0.99]) AS latency_ms_p50_p95_p99,
    latency_ms_sum,
    latency_bins,
    if(scored = 0, NULL, score_sum / scored) AS score_mean,
    scored,
    score_sum,
    boxes
FROM rollup_hours FINAL
WHERE n > 0 AND bucket < (SELECT toStartOfHour(until) FROM rollup_state);

-- Where the views above say something else than a count over `outcomes`: nothing, once a pass has seen the last insert.
CREATE VIEW IF NOT EXISTS rollup_differences AS
SELECT step, bucket, tenant, source, model, version, status, stage, reason, sum(rollup) AS in_rollup, sum(outcome) AS in_outcomes
FROM
(
    SELECT 'minute' AS step, bucket, tenant, source, model, version, status, stage, reason, n AS rollup, 0 AS outcome
    FROM outcomes_by_minute
    WHERE bucket >= (SELECT since FROM rollup_state)
    UNION ALL
    SELECT 'hour', bucket, tenant, source, model, version, status, stage, reason, n, 0
    FROM outcomes_by_hour
    WHERE bucket >= (SELECT since FROM rollup_state)
    UNION ALL
    SELECT
        arrayJoin(['minute', 'hour']) AS step,
        if(step = 'minute', toStartOfMinute(at), toStartOfHour(at)) AS bucket,
        tenant,
        source,
        model,
        nullIf(version, '') AS version,
        status,
        nullIf(stage, '') AS stage,
        nullIf(reason, '') AS reason,
        0,
        count()
    FROM
    (
        -- What a clock says of the time before 1970 no DateTime holds; it all counts in the first minute.
        SELECT greatest(accepted_at, toDateTime64(0, 3, 'UTC')) AS at, tenant, source, model, version, status, stage, reason
        FROM outcomes
        WHERE accepted_at < (SELECT until FROM rollup_state)
    )
    WHERE at >= (SELECT since FROM rollup_state) AND bucket < if(step = 'minute', (SELECT until FROM rollup_state), (SELECT toStartOfHour(until) FROM rollup_state))
    GROUP BY step, bucket, tenant, source, model, version, status, stage, reason
)
GROUP BY step, bucket, tenant, source, model, version, status, stage, reason
HAVING in_rollup != in_outcomes;
