/**
 * A second wall, for a ClickHouse server, which the embedded engine does not offer: a user that may only read, with no rights of
 * its own, and a role for each tenant whose row policies hold whatever the query says. The role comes beside the query, by the
 * HTTP interface, where no SQL can change it.
 */
import { databaseOf, publicViews, viewStatements } from './views.ts';

/** What the views read. */
const sources = ['predictions_raw', 'rollup_minutes', 'rollup_hours', 'rollup_labels', 'rollup_firsts', 'kept_frames_raw', 'drift_windows_raw', 'alerts_raw'] as const;
/** Named one by one: a table that comes later has no row policy yet. */
const readable = [...publicViews, ...sources, 'rollup_state', 'rollup_passes'];

export const roleOf = (shown: string, tenant: string): string => `${databaseOf(shown, tenant)}_reader`;

export interface Grants {
  readonly shown: string;
  readonly user: string;
  readonly tenants: readonly string[];
  /** ON CLUSTER, or null. */
  readonly cluster?: string | null;
}

/** For an administrator to run, once and again for each new tenant. The password is left to be filled in. */
export function grantStatements({ shown, user, tenants, cluster = null }: Grants): string[] {
  const on = cluster === null ? '' : ` ON CLUSTER \`${cluster}\``;
  const roles = tenants.map((tenant) => roleOf(shown, tenant));
  return [
    `CREATE USER IF NOT EXISTS \`${user}\`${on} IDENTIFIED WITH sha256_password BY '…' SETTINGS max_execution_time = 30 MAX 3600, max_memory_usage = 1073741824 MAX 8589934592, allow_introspection_functions = 0 READONLY, allow_ddl = 0 READONLY`,
    // A server from before 26.3 does not know it, and needs it not: this statement may fail there.
    `ALTER USER \`${user}\`${on} ADD SETTINGS defer_partition_pruning_after_final = 0`,
    ...tenants.flatMap((tenant, i) => [
      ...viewStatements(shown, tenant).map((statement) => onCluster(statement, on)),
      `CREATE ROLE IF NOT EXISTS \`${roles[i]}\`${on}`,
      `GRANT${on} SELECT ON ${databaseOf(shown, tenant)}.* TO \`${roles[i]}\``,
      // A view reads with the rights of whoever asks it.
      ...readable.map((table) => `GRANT${on} SELECT ON ${shown}.${table} TO \`${roles[i]}\``),
      ...sources.map((source) => `CREATE ROW POLICY IF NOT EXISTS \`${roles[i]}\`${on} ON ${shown}.${source} FOR SELECT USING tenant = '${tenant.replaceAll("'", "\\'")}' TO \`${roles[i]}\``),
      `GRANT${on} \`${roles[i]}\` TO \`${user}\``,
    ]),
    // Without a role it may nothing: one is named with each query.
    `SET DEFAULT ROLE NONE TO \`${user}\``,
  ];
}

const onCluster = (statement: string, on: string): string => statement.replace(/^(CREATE (?:DATABASE IF NOT EXISTS|OR REPLACE VIEW) [\w.]+)/, `$1${on}`);
