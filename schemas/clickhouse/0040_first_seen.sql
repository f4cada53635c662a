-- When each source first saw each class: to ask the rollup of all hours what is new reads every hour there is. Written by the
-- passes of 0002 from what they counted; without a TTL, so that a class stays known when the hours it was seen in have expired.
CREATE TABLE IF NOT EXISTS rollup_firsts
(
    tenant LowCardinality(String),
    model LowCardinality(String),
    -- '' is no class: the pass of that row is how far the table goes.
    label LowCardinality(String),
    source LowCardinality(String),
    bucket DateTime('UTC'),
    -- Not, if every row it was seen in has left again.
    seen Bool,
    pass UInt64
)
ENGINE = ReplacingMergeTree(pass)
ORDER BY (tenant, model, label, source);

-- A pass looks for what those before it have counted lately, in whatever hour.
ALTER TABLE rollup_labels ADD INDEX IF NOT EXISTS pass_range pass TYPE minmax GRANULARITY 1;

CREATE VIEW IF NOT EXISTS labels_first_seen AS
SELECT tenant, source, model, label, bucket AS first_seen
FROM rollup_firsts FINAL
WHERE seen AND label != '' AND bucket < (SELECT toStartOfHour(until) FROM rollup_state);
