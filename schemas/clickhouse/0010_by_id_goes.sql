-- What the move of 0009 leaves, once the rows lie by week.

-- while: SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN ('predictions_raw', 'predictions_raw_local') AND engine LIKE '%MergeTree' AND partition_key != ''
DROP VIEW IF EXISTS predictions_forwarded;

-- By what it is itself: whatever became of the names, rows by week are never dropped.
-- while: SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN ('predictions_by_id', 'predictions_by_id_local') AND partition_key = ''
DROP TABLE IF EXISTS predictions_by_id SETTINGS max_table_size_to_drop = 0;

-- while: SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN ('predictions_raw', 'predictions_raw_local') AND engine LIKE '%MergeTree' AND partition_key != ''
DROP TABLE IF EXISTS predictions_by_week SETTINGS max_table_size_to_drop = 0;
