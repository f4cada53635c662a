/** Brings a database up to the schema of this version, forward only. */
import type { ClickHouseClient } from '@clickhouse/client';
import { SaccadeError } from '../errors.ts';
import { onCluster } from './cluster.ts';
import { readMigrations, type Migration } from './migrations.ts';

/** Of any number of processes that record the same step at once, FINAL shows one. */
const ledger = `CREATE TABLE IF NOT EXISTS migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY version`;

/**
 * Applies what `database` lacks. Safe to rerun and to run from many processes: each statement is idempotent, and a step is
 * recorded after its last statement, so one that was cut off runs again. Steps of a newer version are left in peace.
 * `client` speaks to `database`, `admin` to the server's default one. Throws invalid_config if a step that was applied has
 * been edited since, and whatever the client throws.
 */
export async function migrate(
  client: ClickHouseClient,
  admin: ClickHouseClient,
  database: string,
  { cluster = null, migrations = readMigrations() }: { readonly cluster?: string | null; readonly migrations?: readonly Migration[] } = {},
): Promise<void> {
  const forms = (statement: string): string[] => (cluster === null ? [statement] : onCluster(statement, { name: cluster, database }));
  // Asked first: a user without the right to create databases can still use one made for them.
  if (!(await exists(admin, database))) for (const query of forms(`CREATE DATABASE IF NOT EXISTS \`${database}\``)) await admin.command({ query });
  for (const query of forms(ledger)) await client.command({ query });
  const answer = await client.query({ query: 'SELECT version, checksum FROM migrations FINAL', format: 'JSONEachRow' });
  const applied = new Map((await answer.json<{ version: number; checksum: string }>()).map((row) => [row.version, row.checksum]));

  for (const { version, name, checksum, statements } of migrations) {
    const known = applied.get(version);
    if (known === checksum) continue;
    if (known !== undefined)
      throw new SaccadeError('invalid_config', `migration ${version} (${name}) was edited after it was applied; add a new one instead`);
    for (const { sql, onlyWhile } of statements) {
      if (onlyWhile !== null && !(await holds(client, onlyWhile))) continue;
      try {
        for (const query of forms(sql)) await client.command({ query });
      } catch (error) {
        // Another process has done it meanwhile.
        if (onlyWhile === null || (await holds(client, onlyWhile))) throw error;
      }
    }
    await client.insert({ table: 'migrations', values: [{ version, name, checksum }], format: 'JSONEachRow' });
  }
}

async function holds(client: ClickHouseClient, question: string): Promise<boolean> {
  const answer = await client.query({ query: question, format: 'JSONCompactEachRow' });
  const [[value]] = await answer.json<[[number | string]]>() as unknown as [[number | string]];
  return Number(value) !== 0;
}

async function exists(admin: ClickHouseClient, database: string): Promise<boolean> {
  const answer = await admin.query({
    query: 'SELECT count() AS n FROM system.databases WHERE name = {database:String}',
    query_params: { database },
    format: 'JSONEachRow',
  });
  const [row] = await answer.json<{ n: number | string }>();
  return Number(row?.n) > 0;
}
