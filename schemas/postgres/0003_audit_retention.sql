-- Where the trail begins: the last entry that retention took out, and its hash. An entry in the chain vouches for both.
ALTER TABLE audit_head
    ADD COLUMN pruned bigint NOT NULL DEFAULT 0,
    ADD COLUMN pruned_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex');
