/** Keeps the rollups up: a pass for each minute, by one of the sinks that run. */
import type { Clock, Store } from '../../../connectors/ports.ts';
import type { Days } from '../retention.ts';
import { buildRollups } from './build.ts';

export interface KeepOptions {
  readonly store: Pick<Store, 'query' | 'command' | 'insert'>;
  readonly clock: Clock;
  /** Of this process, in rollup_passes. */
  readonly builder: string;
  /** After which rows or counts expire, the shorter of both. What is older is not compared: it would be counted down to nothing. */
  readonly kept: Days;
  /** Aborting it ends the loop, after the pass that is under way. */
  readonly signal: AbortSignal;
  readonly log: { debug(details: object, message: string): void; warn(details: object, message: string): void };
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** Rows expire while a pass looks at them. */
const marginMs = 60 * minuteMs;
/** After the end of a minute: most of its frames have their outcome by then; later ones have it counted anew. */
const settleMs = 5_000;
/** A pass that takes long is followed by a pause this many times as long: what compares all rows must not take the store over. */
const pauseFactor = 9;
/** After which a pass that has not ended is taken for one whose process was killed. If it was not, two at once do no harm. */
const givenUpAfterMs = 3 * minuteMs;

/** Until the signal aborts. A pass that fails is logged; the next one does its work too. */
export async function keepRollups({ store, clock, builder, kept, signal, log }: KeepOptions): Promise<void> {
  let pause = 0;
  while (!signal.aborted) {
    const nextMinute = minuteMs - ((clock.now() - settleMs) % minuteMs);
    await clock.sleep(Math.max(nextMinute, pause), signal);
    if (signal.aborted) return;
    const startedAt = clock.now();
    const since = (days: number): number => (days === 0 ? 0 : startedAt - days * dayMs + marginMs);
    const until = Math.floor((startedAt - settleMs) / minuteMs) * minuteMs;
    try {
      if (await othersAreAtIt(store, until, startedAt)) continue;
      const { hoursRebuilt } = await buildRollups(store, { until, since: since(kept.usual), sinceOf: new Map([...kept.tenants].map(([tenant, days]) => [tenant, since(days)])), clock, builder });
      log.debug({ until, hoursRebuilt, ms: clock.now() - startedAt }, 'rollups compared');
    } catch (error) {
      log.warn({ err: error }, 'rollups could not be built');
    } finally {
      pause = (clock.now() - startedAt) * pauseFactor;
    }
  }
}

/** Spares work, and no more: between the question and the pass another may begin. */
async function othersAreAtIt(store: KeepOptions['store'], until: number, now: number): Promise<boolean> {
  const [row] = await store.query<{ n: number }>(
    `SELECT count() AS n FROM
     (
         SELECT max(until) AS goes_until, max(finished_at) AS ended, min(started_at) AS began
         FROM rollup_passes WHERE started_at > fromUnixTimestamp64Milli({since:Int64}) GROUP BY pass
     )
     WHERE (ended IS NULL AND began <= fromUnixTimestamp64Milli({now:Int64})) OR (ended IS NOT NULL AND goes_until >= toDateTime({until:UInt32}))`,
    { since: now - givenUpAfterMs, now, until: until / 1000 },
  );
  return row!.n > 0;
}
