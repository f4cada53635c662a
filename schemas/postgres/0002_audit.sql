-- What was done by whom, each entry chained to the one before: hash = SHA-256(previous hash, number, entry). The columns for
-- queries are generated from the entry, so they cannot say something else than what is hashed.
CREATE TABLE audit
(
    number   bigint PRIMARY KEY,
    entry    text NOT NULL,
    hash     bytea NOT NULL,
    at_ms    bigint GENERATED ALWAYS AS (((entry::jsonb) ->> 'at')::bigint) STORED,
    actor    text GENERATED ALWAYS AS ((entry::jsonb) ->> 'actor') STORED,
    tenant   text GENERATED ALWAYS AS ((entry::jsonb) ->> 'tenant') STORED,
    action   text GENERATED ALWAYS AS ((entry::jsonb) ->> 'action') STORED
);
CREATE INDEX audit_by_tenant ON audit (tenant, number);

-- The end of the chain, and how far it has been written to the topic. One row.
CREATE TABLE audit_head
(
    single         boolean PRIMARY KEY DEFAULT true CHECK (single),
    number         bigint NOT NULL DEFAULT 0,
    hash           bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    published      bigint NOT NULL DEFAULT 0,
    publisher      text,
    publisher_till timestamptz NOT NULL DEFAULT now()
);
INSERT INTO audit_head DEFAULT VALUES;
