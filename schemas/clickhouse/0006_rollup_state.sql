-- Only passes that have ended. Unqualified, the condition meant the column of the SELECT, which is never null: for as long as
-- a pass was under way, the views showed a minute that it had not counted yet.
CREATE OR REPLACE VIEW rollup_state AS
SELECT pass, builder, since, until, started_at, assumeNotNull(rollup_passes.finished_at) AS finished_at, hours_rebuilt
FROM rollup_passes
WHERE rollup_passes.finished_at IS NOT NULL
ORDER BY rollup_passes.pass DESC
LIMIT 1;
