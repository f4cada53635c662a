/**
 * The queries that Grafana's ClickHouse data source makes by itself, after its public source (pkg/plugin and src/data of
 * grafana/clickhouse-datasource, 4.x), and what its query builder makes of these views, with the macros put in as it does.
 */
export const grafanaQueries: readonly string[] = [
  // Its client, when it connects.
  'SELECT displayName(), version(), revision(), timezone()',
  'SELECT 1',
  // Whether ad-hoc filters can be.
  'SELECT version()',
  // The lists of the query builder, the editor's completion, and Grafana's own SQL.
  'SHOW DATABASES',
  'SHOW TABLES',
  'SHOW TABLES FROM "saccade"',
  'DESC TABLE "predictions"',
  'DESC TABLE "saccade"."outcomes_by_hour"',
  'DESCRIBE TABLE "saccade"."detections"',
  `
      SELECT
        name, is_aggregate, case_insensitive, alias_to, origin, description,
        syntax, arguments, returned_value, examples, categories
      FROM system.functions
      LIMIT 10000
    `,
  'SELECT database, name FROM system.tables ORDER BY database, name',
  "SELECT database, table, name, type, comment FROM system.columns WHERE (database, table) IN (('saccade', 'predictions'), ('saccade', 'detections')) ORDER BY database, table, position",
  "SELECT database, table, name, type, comment FROM system.columns WHERE (database = currentDatabase() AND table IN ('predictions')) ORDER BY database, table, position",
  'SELECT currentDatabase()',
  // The keys and values of variables and filters.
  'SELECT name, type, table FROM system.columns',
  "SELECT name, type, table FROM system.columns WHERE database IN ('saccade')",
  "SELECT name, type, table FROM system.columns WHERE database IN ('saccade') AND table = 'predictions'",
  'select distinct source from saccade.predictions limit 1000',
  'SELECT DISTINCT source FROM saccade.predictions SETTINGS max_execution_time=10',
  'SELECT DISTINCT arrayJoin(timings_ms.keys) as keys FROM "saccade"."predictions" LIMIT 1000',
  // A table, a time series, and one by groups, as built by hand and by the builder.
  'SELECT "captured_at", "source", "model", "score" FROM "saccade"."predictions" WHERE ( captured_at >= toDateTime(1600000000) AND captured_at <= toDateTime(1900000000) ) ORDER BY captured_at DESC LIMIT 1000',
  'SELECT toStartOfInterval(toDateTime(captured_at), INTERVAL 60 second) as "time", count(*) as count FROM "saccade"."predictions" WHERE ( captured_at >= fromUnixTimestamp64Milli(1600000000000) AND captured_at <= fromUnixTimestamp64Milli(1900000000000) ) GROUP BY time ORDER BY time ASC LIMIT 1000',
  'SELECT toStartOfInterval(toDateTime64(captured_at, 3), INTERVAL 20 millisecond) as time, source, avg(latency_ms) FROM saccade.predictions WHERE captured_at >= toDateTime(1600000000) AND captured_at <= toDateTime(1900000000) GROUP BY time, source ORDER BY time',
  // What it takes for logs.
  `SELECT captured_at as "timestamp", source as "body", model as "level" FROM "saccade"."outcomes" WHERE ( timestamp >= toDateTime(1600000000) AND timestamp <= toDateTime(1900000000) ) ORDER BY timestamp DESC LIMIT 100`,
  `SELECT toStartOfInterval("captured_at", INTERVAL 1 MINUTE) as "time", sum(multiSearchAny(toString("model"), ['error', 'ERROR'])) as error, count(*) as logs FROM "saccade"."outcomes" WHERE ( captured_at >= toDateTime(1600000000) AND captured_at <= toDateTime(1900000000) ) GROUP BY time ORDER BY time ASC`,
];
