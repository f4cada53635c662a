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
const order = 'ORDER BY predictions_raw.captured_at DESC, predictions_raw.id DESC';

const placed = ({ id, captured_ms }: StoredPrediction): Place => ({ capturedMs: captured_ms, id });

/** A client that repeats its request gives the row another time. How far apart the two may lie, for the walk to meet one of them only. */
const repeatsMs = 86_400_000;

/**
 * FINAL would merge the rows of whole weeks to show fifty. So what matches is read as it lies, in order of time (the projection
 * `by_time`), repeats and all; of the few ids that are there more than once, FINAL tells which row stands. What stands has
 * matched itself, so nothing is missed. Throws bad_request for a cursor that is none, store_unavailable.
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
      const met = await matching(window, wanted);
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

  /** What comes next in the window, repeats too. */
  function matching(window: Window, rows: number): Promise<StoredPrediction[]> {
    const bounds = [
      ...(window.from === -Infinity ? [] : [from]),
      ...(window.to === Infinity ? [] : [to]),
      ...(below === null ? [] : ["(predictions_raw.captured_at, predictions_raw.id) < (fromUnixTimestamp64Milli({below_ms:Int64}, 'UTC'), {below_id:UUID})"]),
    ];
    return ask<StoredPrediction>(
      `SELECT ${columns} FROM predictions_raw
       WHERE ${[...matches, ...bounds].join('\n         AND ')}
       ${order} LIMIT {rows:UInt32} ${remembered}`,
      { tenant, ...values, ...finite(window), rows, ...(below && { below_ms: below.capturedMs, below_id: below.id }) },
    );
  }

  /** Those of them that no repeat has replaced, each once: the row of an id, where it is one of the places they stand at. */
  async function standing(met: readonly StoredPrediction[]): Promise<StoredPrediction[]> {
    const near = { tenant, from: met.at(-1)!.captured_ms - repeatsMs, to: met[0]!.captured_ms + repeatsMs };
    const there = await ask<Version>(
      `SELECT toString(id) AS id, toUnixTimestamp64Milli(captured_at) AS captured_ms, toUnixTimestamp64Milli(completed_at) AS completed_ms, status FROM predictions_raw
       WHERE ${['tenant = {tenant:String}', named(met), from, to].join(' AND ')} ${remembered}`,
      near,
    );
    const doubtful = inDoubt(met, there);
    if (doubtful.size === 0) return [...met];
    const rows = await ask<StoredPrediction>(
      `SELECT ${columns} FROM predictions_raw FINAL PREWHERE ${named([...doubtful].map((id) => ({ id })))}
       WHERE ${[...matches, from, to].join('\n         AND ')} ${remembered}`,
      { ...near, ...values },
    );
    const winners = new Map(rows.map((row) => [nameOf(row), row]));
    return met.flatMap((row) => {
      if (!doubtful.has(row.id)) return [row];
      const winner = winners.get(nameOf(row));
      // Its repeats at the same place are not shown again.
      winners.delete(nameOf(row));
      return winner === undefined ? [] : [winner];
    });
  }
}

type Version = Pick<StoredPrediction, 'id' | 'captured_ms' | 'completed_ms' | 'status'>;

/** Ids that are there more than once, or no more as they were met: a merge takes repeats away between two questions. */
function inDoubt(met: readonly Version[], there: readonly Version[]): Set<string> {
  const versionOf = ({ captured_ms, completed_ms, status }: Version): string => `${captured_ms} ${completed_ms} ${status}`;
  const versions = new Map<string, string | null>();
  for (const one of there) versions.set(one.id, versions.has(one.id) ? null : versionOf(one));
  return new Set(met.filter((one) => versions.get(one.id) !== versionOf(one)).map(({ id }) => id));
}

/** Of a place. */
const nameOf = ({ id, captured_ms }: Version): string => `${captured_ms} ${id}`;

/** As parameters: those that bound something. */
const finite = (window: Window): Partial<Window> => Object.fromEntries(Object.entries(window).filter(([, ms]) => Number.isFinite(ms)));
