/**
 * A database for each tenant, which holds the public views with nobody else's rows, and what clients ask about a server. It is
 * the current database of the tenant's questions, so that an unqualified name can mean nothing else.
 */
import type { Store } from '../../connectors/ports.ts';

export const publicViews = ['predictions', 'detections', 'outcomes', 'outcomes_by_minute', 'outcomes_by_hour', 'labels_by_hour', 'labels_first_seen', 'frames', 'kept_frames', 'embeddings', 'timings', 'drift_windows', 'drift_features', 'alerts'] as const;

/** What stands in for system.NAME. */
const fakes: Readonly<Record<string, (of: Place) => string>> = {
  one: () => 'SELECT toUInt8(0) AS dummy',
  databases: ({ shown }) => `SELECT '${shown}' AS name, 'Atomic' AS engine, '' AS data_path, '' AS metadata_path, toUUID('00000000-0000-0000-0000-000000000000') AS uuid, 'Atomic' AS engine_full, '' AS comment`,
  tables: ({ shown, database }) => `SELECT '${shown}' AS database, name, toUUID('00000000-0000-0000-0000-000000000000') AS uuid, 'View' AS engine, toUInt8(0) AS is_temporary, CAST([], 'Array(String)') AS data_paths, '' AS metadata_path, metadata_modification_time, CAST([], 'Array(String)') AS dependencies_database, CAST([], 'Array(String)') AS dependencies_table, '' AS create_table_query, '' AS engine_full, '' AS as_select, '' AS partition_key, '' AS sorting_key, '' AS primary_key, '' AS sampling_key, '' AS storage_policy, CAST(NULL, 'Nullable(UInt64)') AS total_rows, CAST(NULL, 'Nullable(UInt64)') AS total_bytes, '' AS comment, toUInt8(0) AS has_own_data FROM system.tables AS real WHERE real.database = '${database}' AND real.name IN (${listed})`,
  columns: ({ shown, database }) => `SELECT '${shown}' AS database, table, name, type, position, '' AS default_kind, '' AS default_expression, toUInt64(0) AS data_compressed_bytes, toUInt64(0) AS data_uncompressed_bytes, toUInt64(0) AS marks_bytes, comment, toUInt8(0) AS is_in_partition_key, toUInt8(0) AS is_in_sorting_key, toUInt8(0) AS is_in_primary_key, toUInt8(0) AS is_in_sampling_key, '' AS compression_codec, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision FROM system.columns AS real WHERE real.database = '${database}' AND real.table IN (${listed})`,
  settings: () => `SELECT 'readonly' AS name, '1' AS value, toUInt8(1) AS changed, 'One SELECT, read-only.' AS description, CAST(NULL, 'Nullable(String)') AS min, CAST(NULL, 'Nullable(String)') AS max, toUInt8(1) AS readonly, 'UInt64' AS type, '0' AS default, '' AS alias_for`,
  functions: () => `SELECT name, is_aggregate, case_insensitive, '' AS alias_to, '' AS create_query, 'System' AS origin, '' AS description, '' AS syntax, '' AS arguments, '' AS returned_value, '' AS examples, '' AS categories FROM system.functions WHERE origin = 'System'`,
  data_type_families: () => 'SELECT name, case_insensitive, alias_to FROM system.data_type_families',
  table_engines: () => `SELECT 'View' AS name`,
  macros: () => `SELECT '' AS macro, '' AS substitution WHERE 0`,
  dictionaries: () => `SELECT '' AS database, '' AS name, '' AS comment WHERE 0`,
};

const listed = publicViews.map((view) => `'${view}'`).join(', ');

interface Place {
  /** As people know it. */
  readonly shown: string;
  readonly database: string;
}

export const viewNames: ReadonlySet<string> = new Set<string>([...publicViews, ...Object.keys(fakes).map((name) => `system_${name}`)]);

/** One database for a tenant and never the same for two; made of letters, digits and _ alone. */
export const databaseOf = (shown: string, tenant: string): string =>
  `${shown}_tenant_${tenant.replaceAll(/[^A-Za-z0-9]/g, (character) => `_${character.charCodeAt(0).toString(16).padStart(2, '0')}`)}`;

/** The statements that put a tenant's views in place. Safe to rerun; made anew, they show the columns of today. */
export function viewStatements(shown: string, tenant: string): string[] {
  const database = databaseOf(shown, tenant);
  const place = { shown, database };
  const literal = `'${tenant.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  return [
    `CREATE DATABASE IF NOT EXISTS ${database}`,
    ...publicViews.map((view) => `CREATE OR REPLACE VIEW ${database}.${view} AS SELECT * FROM ${shown}.${view} WHERE tenant = ${literal}`),
    ...Object.entries(fakes).map(([name, sql]) => `CREATE OR REPLACE VIEW ${database}.system_${name} AS ${sql(place)}`),
  ];
}

/** Puts them in place once for each tenant of this process. */
export function tenantViews(store: Pick<Store, 'command'>, shown: string): (tenant: string) => Promise<string> {
  const ready = new Map<string, Promise<string>>();
  const make = async (tenant: string): Promise<string> => {
    for (const statement of viewStatements(shown, tenant)) await store.command(statement);
    return databaseOf(shown, tenant);
  };
  return (tenant) => {
    const made = ready.get(tenant) ?? make(tenant);
    ready.set(tenant, made);
    // Not there yet (before the first migration), or the store was away: the next question tries again.
    made.catch(() => ready.delete(tenant));
    return made;
  };
}
