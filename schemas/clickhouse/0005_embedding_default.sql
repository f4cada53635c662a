-- The sink writes embeddings as floats now. The way through base64 goes: its column is no part of a stored row, so a TTL of
-- the embedding, which puts the default in its place, could not be applied. A sink of before waits until it is updated.
ALTER TABLE predictions_raw MODIFY COLUMN embedding Array(Float32) DEFAULT [] CODEC(ZSTD(1));

ALTER TABLE predictions_raw DROP COLUMN IF EXISTS embedding_base64;
