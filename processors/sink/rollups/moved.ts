/**
 * Takes away what a repeat with another time has left. A client that sends a request again, with the same Idempotency-Key, gives
 * its frame another accepted_at; the row is one by its id, but its older version may lie in a part that a question about that
 * time alone reads, and the newer one in a part that it does not. Such a question would show the frame at both times, each in
 * its turn, until the parts have merged, and those of different weeks never do.
 */
import type { Store } from '../../../connectors/ports.ts';

/** Ids that one statement looks for, which bounds its memory. */
const idsAtOnce = 1_000_000;
/** Ids that one statement names. */
const namedAtOnce = 1_000;

/** Looks at the rows stored from `since` on, in milliseconds since the epoch. Safe to cut off and to repeat. Answers how many ids had moved. */
export async function dropMoved(store: Pick<Store, 'query' | 'command'>, since: number): Promise<number> {
  const fresh = `SELECT id FROM predictions_raw WHERE inserted_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')`;
  const [stored] = await store.query<{ n: number }>(`SELECT count() AS n FROM (${fresh})`, { since });
  const portions = Math.ceil(stored!.n / idsAtOnce);
  let dropped = 0;
  for (let portion = 0; portion < portions; portion++) {
    const moved = await store.query<{ id: string }>(
      `SELECT toString(id) AS id FROM predictions_raw
       WHERE predictions_raw.id IN (${fresh} AND cityHash64(id) % {portions:UInt32} = {portion:UInt32})
       GROUP BY predictions_raw.id HAVING min(accepted_at) != max(accepted_at)
       SETTINGS distributed_product_mode = 'local'`,
      { since, portions, portion },
    );
    for (let from = 0; from < moved.length; from += namedAtOnce) await drop(store, moved.slice(from, from + namedAtOnce).map(({ id }) => `'${id}'`).join(', '));
    dropped += moved.length;
  }
  return dropped;
}

/** The winner is the one that FINAL shows, whose time no later statement changes: what is deleted are versions of other times. */
async function drop(store: Pick<Store, 'query' | 'command'>, ids: string): Promise<void> {
  const winners = await store.query<{ id: string; at: number }>(`SELECT toString(id) AS id, toUnixTimestamp64Milli(accepted_at) AS at FROM predictions_raw FINAL WHERE predictions_raw.id IN (${ids})`);
  const kept = winners.map(({ id, at }) => `('${id}', ${at})`).join(', ');
  await store.command(`DELETE FROM predictions_raw WHERE id IN (${ids}) AND (toString(id), toUnixTimestamp64Milli(accepted_at)) NOT IN (${kept})`);
}
