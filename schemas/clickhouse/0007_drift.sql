-- Windows of drift beside their references. The same window may be computed again by a later owner of its partition: by its
-- sorting key it is one row, and the last one closed wins.
CREATE TABLE IF NOT EXISTS drift_windows_raw
(
    id UUID,
    tenant LowCardinality(String),
    source LowCardinality(String),
    model LowCardinality(String),
    -- Without NULLs, which a sorting key should not have: '' is none.
    version LowCardinality(String),
    span LowCardinality(String),
    start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    end DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    closed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    frames Int64 CODEC(T64, ZSTD(1)),
    late Int64 CODEC(T64, ZSTD(1)),
    verdict LowCardinality(String),
    reference Nullable(String),
    sentence Nullable(String),
    features Nested(
        name LowCardinality(String),
        group LowCardinality(String),
        statistic LowCardinality(String),
        value Float64,
        p Nullable(Float64),
        q Nullable(Float64),
        moved Bool,
        mean Nullable(Float64),
        reference_mean Nullable(Float64)
    ),
    -- The bars of each feature's chart: edges or labels, shares now and in the reference, as JSON.
    charts String CODEC(ZSTD(3)),
    examples Array(UUID),
    -- What a reference is built from: deflated, in base64.
    blocks String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(closed_at)
ORDER BY (tenant, source, model, version, span, start);

CREATE VIEW IF NOT EXISTS drift_windows AS
SELECT
    id,
    tenant,
    source,
    model,
    nullIf(version, '') AS version,
    span,
    start,
    end,
    closed_at,
    frames,
    late,
    verdict,
    reference,
    sentence,
    arrayFilter((name, moved) -> moved, features.name, features.moved) AS moved,
    examples
FROM drift_windows_raw FINAL;

-- One row for each feature of each window.
CREATE VIEW IF NOT EXISTS drift_features AS
SELECT
    id AS window_id,
    tenant,
    source,
    model,
    nullIf(version, '') AS version,
    span,
    start,
    end,
    verdict,
    features.name AS feature,
    features.group AS group,
    features.statistic AS statistic,
    features.value AS value,
    features.p AS p,
    features.q AS q,
    features.moved AS moved,
    features.mean AS mean,
    features.reference_mean AS reference_mean
FROM drift_windows_raw FINAL
ARRAY JOIN features;

-- Each row is the whole state of an alert; the last change of it wins.
CREATE TABLE IF NOT EXISTS alerts_raw
(
    id UUID,
    tenant LowCardinality(String),
    source LowCardinality(String),
    kind LowCardinality(String),
    status LowCardinality(String),
    started_at DateTime64(3, 'UTC'),
    changed_at DateTime64(3, 'UTC'),
    resolved_at Nullable(DateTime64(3, 'UTC')),
    models Array(LowCardinality(String)),
    features Array(LowCardinality(String)),
    sentence String,
    windows Array(UUID),
    examples Array(UUID),
    -- Of two changes at the same time the resolving one is the later.
    rank UInt64 MATERIALIZED toUInt64(toUnixTimestamp64Milli(changed_at)) * 2 + (status = 'resolved')
)
ENGINE = ReplacingMergeTree(rank)
ORDER BY (tenant, source, id);

CREATE VIEW IF NOT EXISTS alerts AS
SELECT id, tenant, source, kind, status, started_at, changed_at, resolved_at, models, features, sentence, windows, examples
FROM alerts_raw FINAL;
