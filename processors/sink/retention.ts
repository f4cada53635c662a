/** How long the store keeps what: as TTLs of the tables, which ClickHouse applies when it merges. */
import type { Store } from '../../connectors/ports.ts';
import { table } from './row.ts';

/** Days; 0: for ever. Rows count theirs from when they were stored, rollups from their bucket. */
export interface Retention {
  /** Rows: predictions, boxes and outcomes. */
  readonly rows: number;
  /** Embeddings, which are most of a row's bytes: the rest of the row stays. */
  readonly embeddings: number;
  /** Counts by minute and by hour, and of classes. */
  readonly rollups: number;
}

/** Not the frame's own times: a camera whose clock says 1970 would lose its rows as soon as they are stored. */
const stored = 'toDateTime(inserted_at)';

/**
 * Makes the tables keep what `retention` says. Changes only what differs, so that a restart rewrites nothing; safe to call from many
 * processes. Rows that have expired are gone after the next merge. Throws query_failed or store_unavailable.
 */
export async function applyRetention(store: Pick<Store, 'query' | 'command'>, retention: Retention): Promise<void> {
  const after = (from: string, days: number): string => `${from} + toIntervalDay(${days})`;
  const [row] = await store.query<{ ttls: Record<string, string> }>(
    `SELECT mapFromArrays(groupArray(name), groupArray(extract(engine_full, 'TTL .* \\\\+ toIntervalDay\\\\((\\\\d+)\\\\)'))) AS ttls
     FROM system.tables WHERE database = currentDatabase() AND name IN ('${table}', 'rollup_minutes', 'rollup_hours', 'rollup_labels')`,
  );
  for (const [name, from, days] of [
    [table, stored, retention.rows],
    ['rollup_minutes', 'bucket', retention.rollups],
    ['rollup_hours', 'bucket', retention.rollups],
    ['rollup_labels', 'bucket', retention.rollups],
  ] as const) {
    const now = Number(row!.ttls[name] ?? 0);
    if (now === days) continue;
    await store.command(days === 0 ? `ALTER TABLE ${name} REMOVE TTL` : `ALTER TABLE ${name} MODIFY TTL ${after(from, days)}`);
  }
  const [column] = await store.query<{ days: string }>(
    `SELECT extract(create_table_query, 'embedding. Array\\\\(Float32\\\\)[^\\\\n]*? TTL [^\\\\n]*?toIntervalDay\\\\((\\\\d+)\\\\)') AS days FROM system.tables WHERE database = currentDatabase() AND name = '${table}'`,
  );
  if (Number(column!.days) === retention.embeddings) return;
  await store.command(`ALTER TABLE ${table} MODIFY COLUMN embedding ${retention.embeddings === 0 ? 'REMOVE TTL' : `TTL ${after(stored, retention.embeddings)}`}`);
}

/** The days after which something expires that the rollups are compared with, or they themselves; 0: never. */
export const comparableDays = ({ rows, rollups }: Retention): number => (rows === 0 || rollups === 0 ? rows + rollups : Math.min(rows, rollups));
