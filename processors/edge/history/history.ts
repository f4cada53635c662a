/** A page of what has been seen, newest first. */
import type { History, HistoryQuery } from '../../../schemas/api/history.ts';
import { type AskStore, remembered } from '../store-reader.ts';
import { cursorOf, type Place, placeOf } from './cursor.ts';
import { columns, named, seenOfStored, type StoredPrediction } from './stored-prediction.ts';
import { type Window, windowsBack } from './windows.ts';

/** Each where its filter is given: fixed text, whose values the store binds. */
const filters: Record<Exclude<keyof HistoryQuery, 'since' | 'until' | 'limit' | 'cursor'>, string> = {
  source: 'source = {source:String}',
  model: 'model = {model:String}',
  label: '(has(labels.label, {label:String}) OR has(detections.label, {label:String}))',
  status: 'status = {status:String}',
  min_score: 'arrayMax(arrayPushBack(arrayConcat(labels.score, detections.score), toFloat32(-1))) >= toFloat32({min_score:Float64})',
};
const scoreOfLabel = `arrayExists((name, score) -> name = {label:String} AND score >= toFloat32({min_score:Float64}),
  arrayConcat(labels.label, detections.label), arrayConcat(labels.score, detections.score))`;
const from = "captured_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')";
const to = "captured_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')";
const order = 'ORDER BY captured_at DESC, id DESC';

type Placed = Pick<StoredPrediction, 'id' | 'captured_ms'>;

const placed = ({ id, captured_ms }: Placed): Place => ({ capturedMs: captured_ms, id });

/** A client that repeats its request gives the row another time. How far apart the two may lie, for the walk to meet one of them only. */
const repeatsMs = 86_400_000;

/**
 * FINAL would merge the rows of whole weeks to show fifty. So what matches is found first, repeats and all, by the few columns that
 * say so; then all of it by its ids. What is there once has no repeat; where an id is there twice FINAL, which goes by the id, tells
 * which version stands. What stands has matched itself, so nothing is missed.
 * Throws bad_request for a cursor that is none, store_unavailable.
 */
export async function historyOf(tenant: string, query: HistoryQuery, { ask, now }: { readonly ask: AskStore; readonly now: number }): Promise<History> {
  const { limit, cursor, since = -Infinity, until = Infinity, ...values } = query;
  let below = cursor === undefined ? null : placeOf(cursor);
  const given = (Object.keys(filters) as (keyof typeof filters)[]).filter((name) => query[name] !== undefined);
  const matches = ['tenant = {tenant:String}', ...given.map((name) => (name === 'min_score' && query.label !== undefined ? scoreOfLabel : filters[name]))];

  const found: StoredPrediction[] = [];
  // One more than is shown tells whether there is a next page.
  const missing = (): number => limit + 1 - found.length;
  for (const window of windowsBack({ since, until: Math.min(until, below ? below.capturedMs + 1 : Infinity), now })) {
    let full: boolean;
    do {
      const wanted = missing();
      const met = await candidates(window, wanted);
      if (met.length > 0) {
        found.push(...(await standing(met)));
        below = placed(met.at(-1)!);
      }
      full = met.length === wanted;
    } while (full && missing() > 0);
    if (missing() <= 0) break;
  }
  const page = found.slice(0, limit);
  return { items: page.map(seenOfStored), next: found.length > limit ? cursorOf(placed(page.at(-1)!)) : null };

  /** What comes next in the window. */
  function candidates(window: Window, rows: number): Promise<Placed[]> {
    const bounds = [
      ...(window.from === -Infinity ? [] : [from]),
      ...(window.to === Infinity ? [] : [to]),
      ...(below === null ? [] : ["(captured_at, id) < (fromUnixTimestamp64Milli({below_ms:Int64}, 'UTC'), {below_id:UUID})"]),
    ];
    return ask<Placed>(
      `SELECT id, toUnixTimestamp64Milli(captured_at) AS captured_ms FROM predictions_raw
       WHERE ${[...matches, ...bounds].join('\n         AND ')}
       ${order} LIMIT {rows:UInt32} ${remembered}`,
      { tenant, ...values, ...finite(window), rows, ...(below && { below_ms: below.capturedMs, below_id: below.id }) },
    );
  }

  /** Those of them that no repeat has replaced. */
  async function standing(met: readonly Placed[]): Promise<StoredPrediction[]> {
    const places = new Set(met.map(placeName));
    const near = { ...values, tenant, from: met.at(-1)!.captured_ms - repeatsMs, to: met[0]!.captured_ms + repeatsMs };
    // With an order and a limit ClickHouse finds the rows first, and then reads the other columns of those alone.
    const there = await ask<StoredPrediction & { readonly matching: boolean }>(
      `SELECT ${columns}, ${matches.join(' AND ')} AS matching FROM predictions_raw PREWHERE ${named(met)} WHERE tenant = {tenant:String} AND ${from} AND ${to}
       ${order} LIMIT {most:UInt32} ${remembered}`,
      { ...near, most: met.length + 1 },
    );
    // What was met may have merged meanwhile with a repeat that does not match.
    if (new Set(there.map(({ id }) => id)).size === there.length && there.every((row) => row.matching && places.has(placeName(row)))) return there;
    const rows = await ask<StoredPrediction>(
      `SELECT ${columns} FROM predictions_raw FINAL PREWHERE ${named(met)}
       WHERE ${[...matches, from, to].join('\n         AND ')}
       ${order} ${remembered}`,
      near,
    );
    return rows.filter((row) => places.has(placeName(row)));
  }
}

const placeName = ({ id, captured_ms }: Placed): string => `${captured_ms} ${id}`;

/** As parameters: those that bound something. */
const finite = (window: Window): Partial<Window> => Object.fromEntries(Object.entries(window).filter(([, ms]) => Number.isFinite(ms)));
