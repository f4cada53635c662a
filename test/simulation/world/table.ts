/** The store: predictions_raw as schemas/clickhouse declares it, a ReplacingMergeTree by (tenant, source, id) whose highest rank wins. */
import { SaccadeError } from '../../../connectors/errors.ts';

export interface StoredRow {
  readonly id: string;
  readonly frame_id: string;
  readonly tenant: string;
  readonly source: string;
  readonly model: string;
  readonly status: 'ok' | 'dropped' | 'dead_lettered';
  readonly stage: string | null;
  readonly reason: string | null;
  readonly version: string | null;
}

export interface Table {
  /** All rows or none. Throws rejected_by_store. */
  insert(rows: readonly Readonly<Record<string, unknown>>[], by: string): void;
  /** What the public views show: one row for each key. */
  view(): Iterable<StoredRow>;
  has(id: string): boolean;
  onInsert(told: (row: StoredRow) => void): void;
}

/** The version whose rows this store refuses, as it would a value that does not fit its column. */
export const refusedVersion = 'refused';

const rank = { ok: 3, dead_lettered: 2, dropped: 1 } as const;

export function createTable(note: (who: string, what: string) => void): Table {
  const winners = new Map<string, StoredRow>();
  const ids = new Set<string>();
  const listeners: ((row: StoredRow) => void)[] = [];
  return {
    insert(raw, by) {
      const rows = raw as unknown as readonly StoredRow[];
      if (rows.some(({ version }) => version === refusedVersion)) throw new SaccadeError('rejected_by_store', 'a value does not fit its column');
      note(by, `stores ${rows.length} rows`);
      for (const row of rows) {
        const key = `${row.tenant}\n${row.source}\n${row.id}`;
        const winner = winners.get(key);
        if (!winner || rank[row.status] >= rank[winner.status]) winners.set(key, row);
        ids.add(row.id);
        for (const told of listeners) told(row);
      }
    },
    view: () => winners.values(),
    has: (id) => ids.has(id),
    onInsert: (told) => void listeners.push(told),
  };
}
