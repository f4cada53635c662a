-- Who may. A tenant is never deleted: frames, predictions and the audit trail name it.
CREATE TABLE tenants
(
    name       text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    -- Of schemas/plans.json; null: the plan of the process that asks.
    plan       text,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A key is its id, which is public, and a secret, of which only the SHA-256 is kept: 256 random bits cannot be guessed, so
-- a slow hash would protect nothing more and would cost every request its time.
CREATE TABLE keys
(
    id           text PRIMARY KEY,
    secret_hash  bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    tenant       text NOT NULL REFERENCES tenants (name),
    role         text NOT NULL CHECK (role IN ('viewer', 'operator', 'trainer', 'admin')),
    label        text NOT NULL DEFAULT '',
    plan         text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
CREATE INDEX keys_by_tenant ON keys (tenant, created_at);

-- Second factors of admins, by principal. `last_step` is the newest time step whose code was taken: a code serves once.
CREATE TABLE second_factors
(
    principal    text PRIMARY KEY,
    secret       text NOT NULL,
    confirmed_at timestamptz,
    last_step    bigint NOT NULL DEFAULT -1
);

-- What all edges must know and nobody else: made by the first that asks.
CREATE TABLE shared_secrets
(
    name   text PRIMARY KEY,
    secret bytea NOT NULL
);
