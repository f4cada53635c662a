/**
 * Makes the rollups say what `outcomes` says. A pass compares, it does not follow inserts: fingerprints of the rows by hour
 * against those of the rows that were counted; where they differ, the hour is counted anew. So it makes no difference what
 * made a bucket stale (late rows, repeats, a replay, a repeat with another time, a pass that was cut off half-way), in which
 * order, or who noticed: the next pass that ends leaves nothing stale that was stored before it began.
 */
import type { Clock, Store } from '../../../connectors/ports.ts';
import { keepFirsts } from './first-seen.ts';
import { dropMoved } from './moved.ts';
import { replaceHours, replaceLabels, replaceMinutes, staleHours } from './statements.ts';

export interface PassOptions {
  /** Milliseconds since the epoch. Rows accepted before it count, to the whole minute. */
  readonly until: number;
  /** The same, to the whole hour: older buckets are left as they are, since their rows may have expired. */
  readonly since?: number;
  /** The same of tenants whose rows are kept for another time. */
  readonly sinceOf?: ReadonlyMap<string, number>;
  readonly clock: Pick<Clock, 'now'>;
  /** Who is at it, for whoever reads rollup_passes. */
  readonly builder: string;
  /** Rows counted by one statement, which bounds its memory; an hour of more is counted at once all the same. */
  readonly rowsAtOnce?: number;
}

export interface Pass {
  readonly pass: number;
  readonly hoursRebuilt: number;
}

const minuteMs = 60_000;
/** Between the store, which says when a row came, and who made the last pass. */
const clocksDifferMs = 15 * minuteMs;
const hourMs = 60 * minuteMs;

/**
 * One pass. Safe to cut off anywhere, to repeat, and to run several times at once: two at once only do the work twice, and
 * what one of them counted before the other's rows came is found by the next. Throws query_failed or store_unavailable.
 */
export async function buildRollups(store: Pick<Store, 'query' | 'command' | 'insert'>, { until, since = 0, sinceOf = new Map(), clock, builder, rowsAtOnce = 500_000 }: PassOptions): Promise<Pass> {
  const startedAt = clock.now();
  // Passes of a version that does not keep the firsts may not have looked for rows that moved either: they do not count.
  const [last] = await store.query<{ pass: number; looked: number }>(
    `WITH (SELECT max(pass) FROM rollup_firsts WHERE label = '') AS kept
     SELECT max(rollup_passes.pass) AS pass, toUnixTimestamp64Milli(maxIf(started_at, finished_at IS NOT NULL AND (kept = 0 OR rollup_passes.pass <= kept))) AS looked FROM rollup_passes`,
  );
  // Not the clock alone: set back, it would give new counts a lower number than the old ones, and the old ones would win.
  const pass = Math.max(startedAt * 1000, last!.pass + 1);
  const wholeHour = (ms: number): number => Math.ceil(ms / hourMs) * 3600;
  const from = { usual: wholeHour(since), tenants: new Map([...sinceOf].map(([tenant, ms]) => [tenant, wholeHour(ms)])) };
  const span = { until: Math.floor(until / minuteMs) * 60 };
  // What the record says holds for everybody.
  const record = { pass, builder, started_at: startedAt, since: Math.max(from.usual, ...from.tenants.values()), until: span.until };
  await store.insert('rollup_passes', [{ ...record, finished_at: null, hours_rebuilt: 0 }]);

  await dropMoved(store, Math.max(0, Math.min(last!.looked, startedAt) - clocksDifferMs));
  const stale = await store.query<{ hour: number; rows: number }>(staleHours(from), span);
  for (const hours of portions(stale, rowsAtOnce)) {
    // Minutes first: an hour is counted from them, and one cut off in between still differs from the rows.
    await store.command(replaceMinutes(hours, from), { ...span, pass });
    await store.command(replaceHours(hours, from), { ...span, pass });
    await store.command(replaceLabels(hours, from), { ...span, pass });
  }
  await keepFirsts(store, pass);
  await store.insert('rollup_passes', [{ ...record, finished_at: clock.now(), hours_rebuilt: stale.length }]);
  return { pass, hoursRebuilt: stale.length };
}

function* portions(stale: readonly { readonly hour: number; readonly rows: number }[], rowsAtOnce: number): Iterable<number[]> {
  let hours: number[] = [];
  let rows = 0;
  for (const next of stale) {
    if (hours.length > 0 && rows + next.rows > rowsAtOnce) {
      yield hours;
      [hours, rows] = [[], 0];
    }
    hours.push(next.hour);
    rows += next.rows;
  }
  if (hours.length > 0) yield hours;
}
