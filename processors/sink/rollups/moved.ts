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

/**
 * The winner is the row that FINAL shows: of the highest rank the newest. The others are named by their times, so that a version
 * stored meanwhile is not meant.
 */
async function drop(store: Pick<Store, 'query' | 'command'>, ids: string): Promise<void> {
  const losers = await store.query<{ id: string; at: number }>(
    `SELECT toString(id) AS id, arrayJoin(arrayFilter(at -> at != winner, groupUniqArray(toUnixTimestamp64Milli(accepted_at)))) AS at
     FROM (SELECT raw.id AS id, raw.accepted_at AS accepted_at, toUnixTimestamp64Milli(shown.accepted_at) AS winner
           FROM predictions_raw AS raw INNER JOIN (SELECT id, accepted_at FROM predictions_raw FINAL WHERE predictions_raw.id IN (${ids})) AS shown ON raw.id = shown.id
           WHERE raw.id IN (${ids}))
     GROUP BY id, winner`,
  );
  if (losers.length === 0) return;
  const named = losers.map(({ id, at }) => `('${id}', ${at})`).join(', ');
  await store.command(`DELETE FROM predictions_raw WHERE id IN (${ids}) AND (toString(id), toUnixTimestamp64Milli(accepted_at)) IN (${named})`);
}
