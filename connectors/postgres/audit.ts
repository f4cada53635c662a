/** The audit trail in PostgreSQL: one chain over all processes, and the outbox of its topic. */
import { anchorEntry, type AuditEntry, chain, type ChainedEntry, entryText } from '../../schemas/audit.ts';
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

/** Rows of one statement: appending waits for the locks it takes. */
const prunedAtOnce = 5_000;

interface HeadRow {
  readonly number: string;
  readonly hash: Buffer;
  readonly pruned: string;
  readonly pruned_hash: Buffer;
  readonly published: string;
}

/** Within a transaction that began with this: the lock on the head is what makes one chain of what many processes write. */
const lockHead = async (within: Query): Promise<HeadRow> => (await within<HeadRow>('SELECT * FROM audit_head FOR UPDATE'))[0]!;

async function append(within: Query, head: HeadRow, entries: readonly AuditEntry[]): Promise<void> {
  const added = chain(entries.map(entryText), Number(head.number), head.hash);
  const last = added.at(-1);
  if (!last) return;
  await within('INSERT INTO audit (number, entry, hash) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])', [
    added.map(({ number }) => number),
    added.map(({ entry }) => entry),
    added.map(({ hash }) => hash),
  ]);
  await within('UPDATE audit_head SET number = $1, hash = $2', [last.number, last.hash]);
}

/** The last entry from before that time. Asked without the lock: entries do not change, and it may have to look at millions. */
async function lastBefore(query: Query, before: number): Promise<number> {
  const [head] = await query<HeadRow>('SELECT * FROM audit_head');
  const [kept] = await query<{ number: string }>('SELECT number FROM audit WHERE number > $1 AND at_ms >= $2 ORDER BY number LIMIT 1', [head!.pruned, before]);
  return kept ? Number(kept.number) - 1 : Number(head!.number);
}

/** Lets the trail begin after that entry; what lies before that is no part of it any more, and can be deleted at leisure. */
async function moveBeginning(within: Query, after: number, now: number, tenant: string): Promise<void> {
  const head = await lockHead(within);
  const to = Math.min(after, Number(head.published));
  if (to <= Number(head.pruned)) return;
  const [row] = await within<EntryRow>('SELECT number, entry, hash FROM audit WHERE number = $1', [to]);
  const last = entryOf(row!);
  await append(within, head, [anchorEntry(last, now, tenant)]);
  await within('UPDATE audit_head SET pruned = $1, pruned_hash = $2', [last.number, last.hash]);
}

export function auditStore(database: Database): AuditStore {
  const { query } = database;
  return {
    append: (entries) => database.transaction(async (within) => append(within, await lockHead(within), entries)),
    read: (from, limit) => readFrom(query, from, limit),
    async head() {
      const [row] = await query<HeadRow>('SELECT * FROM audit_head');
      return { number: Number(row!.number), hash: row!.hash, pruned: { number: Number(row!.pruned), hash: row!.pruned_hash } };
    },
    async prune(before, now, tenant) {
      const after = await lastBefore(query, before);
      await database.transaction((within) => moveBeginning(within, after, now, tenant));
      for (let gone = 0; ; ) {
        const some = await query('DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE number <= (SELECT pruned FROM audit_head) ORDER BY number LIMIT $1) RETURNING 1', [prunedAtOnce]);
        gone += some.length;
        if (some.length < prunedAtOnce) return gone;
      }
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
