-- How often the answers of a window are right, estimated without labels; NULL until the reference is calibrated.
ALTER TABLE drift_windows_raw ADD COLUMN IF NOT EXISTS accuracy Nullable(Float64);
ALTER TABLE drift_windows_raw ADD COLUMN IF NOT EXISTS accuracy_low Nullable(Float64);
ALTER TABLE drift_windows_raw ADD COLUMN IF NOT EXISTS accuracy_high Nullable(Float64);
ALTER TABLE drift_windows_raw ADD COLUMN IF NOT EXISTS accuracy_normal Nullable(Float64);

CREATE OR REPLACE VIEW drift_windows AS
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
    accuracy,
    accuracy_low,
    accuracy_high,
    accuracy_normal,
    examples
FROM drift_windows_raw FINAL;
