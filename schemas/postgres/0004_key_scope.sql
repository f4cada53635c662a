-- What a key is limited to; null: all that its role may. An admin of nothing but a camera could make itself another key.
ALTER TABLE keys
    ADD COLUMN models text[] CHECK (cardinality(models) > 0),
    ADD COLUMN sources text[] CHECK (cardinality(sources) > 0),
    ADD CHECK (role <> 'admin' OR (models IS NULL AND sources IS NULL));
