/** How long the store keeps what: as TTLs of the tables, which ClickHouse applies when it merges. */
import type { Store } from '../../connectors/ports.ts';
import { type KeptClass, mostDays } from './config.ts';
import { keptTable } from './kept-rows.ts';
import { alertsTable, windowsTable } from './drift-rows.ts';
import { table } from './row.ts';

/** Days; 0: for ever. */
export interface Days {
  readonly usual: number;
  /** Of tenants that want it otherwise. Their names are as schemas/roles.ts has them: nothing in them needs quoting. */
  readonly tenants: ReadonlyMap<string, number>;
}

export interface Retention extends Readonly<Record<KeptClass, Days>> {
  /** Predictions, boxes and outcomes, from when they were stored. */
  readonly rows: Days;
  /** Embeddings, which are most of a row's bytes: the rest of the row stays. */
  readonly embeddings: Days;
  /** Counts by minute and by hour, and of classes, from their bucket. */
  readonly rollups: Days;
  /** Windows of drift from their end, alerts from when they were resolved: one that fires stays. */
  readonly drift: Days;
  /** What is told of frames whose pictures are kept, from when they were. */
  readonly frames: Days;
}

/** Not the frame's own times: a camera whose clock says 1970 would lose its rows as soon as they are stored. */
const stored = 'toDateTime(inserted_at)';

/** As ClickHouse writes it down, so that what is in place can be compared; empty: for ever, which where others of the table expire is as long as can be said. */
function ttl(from: string, { usual, tenants }: Days, where?: string): string {
  const forEver = [usual, ...tenants.values()].every((days) => days === 0);
  if (forEver) return '';
  const own = [...tenants].sort(([a], [b]) => (a < b ? -1 : 1)).filter(([, days]) => days !== usual);
  const days = own.length === 0 ? usual : `multiIf(${own.map(([tenant, of]) => `tenant = '${tenant}', ${of || mostDays}`).join(', ')}, ${usual || mostDays})`;
  return `${from} + toIntervalDay(${days})${where === undefined ? '' : ` WHERE ${where}`}`;
}

/**
 * Makes the tables keep what `retention` says. Changes only what differs, so that a restart rewrites nothing; safe to call from many
 * processes. Rows that have expired are gone after the next merge. Throws query_failed or store_unavailable.
 */
export async function applyRetention(store: Pick<Store, 'query' | 'command'>, { rows, embeddings, rollups, drift, frames }: Retention): Promise<void> {
  const wanted = new Map([
    [table, ttl(stored, rows)],
    ...['rollup_minutes', 'rollup_hours', 'rollup_labels'].map((name): [string, string] => [name, ttl('bucket', rollups)]),
    [windowsTable, ttl('toDateTime(end)', drift)],
    [alertsTable, ttl('toDateTime(changed_at)', drift, "status = 'resolved'")],
    [keptTable, ttl('toDateTime(kept_at)', frames)],
  ]);
  const names = [...wanted.keys()].flatMap((name) => [`'${name}'`, `'${name}_local'`]).join(', ');
  // On a cluster the table that stores is the one beside.
  const [row] = await store.query<{ ttls: Record<string, string> }>(
    `SELECT mapFromArrays(groupArray(replaceRegexpOne(name, '_local$', '')), groupArray(extract(engine_full, ' TTL (.*?)(?: SETTINGS |$)'))) AS ttls
     FROM system.tables WHERE database = currentDatabase() AND name IN (${names}) AND engine LIKE '%MergeTree'`,
  );
  for (const [name, wants] of wanted) {
    if ((row!.ttls[name] ?? '') !== wants) await store.command(wants === '' ? `ALTER TABLE ${name} REMOVE TTL` : `ALTER TABLE ${name} MODIFY TTL ${wants}`);
  }
  // All is on one line: up to the next column's name, which is quoted, and not as far as the table's own TTL.
  const [column] = await store.query<{ ttl: string }>(
    `SELECT extract(splitByString(') ENGINE = ', create_table_query)[1], '\`embedding\` Array\\\\(Float32\\\\)[^\`]*? TTL (toDateTime\\\\(inserted_at\\\\) \\\\+ toIntervalDay\\\\((?:\\\\d+|multiIf\\\\([^()]*\\\\))\\\\))') AS ttl
     FROM system.tables WHERE database = currentDatabase() AND name IN ('${table}', '${table}_local') AND engine LIKE '%MergeTree'`,
  );
  const wants = ttl(stored, embeddings);
  if (column!.ttl !== wants) await store.command(`ALTER TABLE ${table} MODIFY COLUMN embedding ${wants === '' ? 'REMOVE TTL' : `TTL ${wants}`}`);
}

/** After how many days something expires that the rollups are compared with, or they themselves. */
export function comparableDays({ rows, rollups }: Pick<Retention, 'rows' | 'rollups'>): Days {
  const shorter = (a: number, b: number): number => (a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b));
  const named = new Set([...rows.tenants.keys(), ...rollups.tenants.keys()]);
  return {
    usual: shorter(rows.usual, rollups.usual),
    tenants: new Map([...named].map((tenant) => [tenant, shorter(rows.tenants.get(tenant) ?? rows.usual, rollups.tenants.get(tenant) ?? rollups.usual)])),
  };
}
