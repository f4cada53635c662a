/** The audit trail in PostgreSQL: one chain over all processes, and the outbox of its topic. */
import { chain, type ChainedEntry, entryText } from '../../schemas/audit.ts';
import type { AuditStore } from '../metadata-port.ts';
import type { Database, Query } from './database.ts';

/** How long a publisher may take over one round before another may begin. */
const turn = '15 seconds';

interface EntryRow {
  readonly number: string;
  readonly entry: string;
  readonly hash: Buffer;
}

// bigint comes as text; numbers of entries fit a double for longer than anybody will count.
const entryOf = ({ number, entry, hash }: EntryRow): ChainedEntry => ({ number: Number(number), entry, hash });

const readFrom = async (query: Query, from: number, limit: number): Promise<ChainedEntry[]> =>
  (await query<EntryRow>('SELECT number, entry, hash FROM audit WHERE number >= $1 ORDER BY number LIMIT $2', [from, limit])).map(entryOf);

export function auditStore(database: Database): AuditStore {
  const { query } = database;
  return {
    append: (entries) =>
      database.transaction(async (within) => {
        // The lock on the head is what makes one chain of what many processes write.
        const [head] = await within<{ number: string; hash: Buffer }>('SELECT number, hash FROM audit_head FOR UPDATE');
        const added = chain(entries.map(entryText), Number(head!.number), head!.hash);
        const last = added.at(-1);
        if (!last) return;
        await within('INSERT INTO audit (number, entry, hash) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])', [
          added.map(({ number }) => number),
          added.map(({ entry }) => entry),
          added.map(({ hash }) => hash),
        ]);
        await within('UPDATE audit_head SET number = $1, hash = $2', [last.number, last.hash]);
      }),
    read: (from, limit) => readFrom(query, from, limit),
    async head() {
      const [row] = await query<{ number: string; hash: Buffer }>('SELECT number, hash FROM audit_head');
      return { number: Number(row!.number), hash: row!.hash };
    },
    async publish(publisher, limit, send) {
      // A turn instead of a transaction: nothing stays locked while the log is asked, which may be away.
      const [turnOf] = await query<{ published: string }>(
        `UPDATE audit_head SET publisher = $1, publisher_till = now() + interval '${turn}'
         WHERE published < number AND (publisher = $1 OR publisher IS NULL OR publisher_till < now()) RETURNING published`,
        [publisher],
      );
      if (!turnOf) return 0;
      try {
        const entries = await readFrom(query, Number(turnOf.published) + 1, limit);
        const last = entries.at(-1);
        if (!last) return 0;
        await send(entries);
        await query('UPDATE audit_head SET published = greatest(published, $1)', [last.number]);
        return entries.length;
      } finally {
        await query('UPDATE audit_head SET publisher = NULL WHERE publisher = $1', [publisher]).catch(() => {});
      }
    },
  };
}
