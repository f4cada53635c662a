/** The rollups of closed buckets against counts over the deduplicated rows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../../connectors/ports.ts';

/** The builder makes a pass a minute; one that was killed in its pass is waited for by the others for three. */
const passWithinMs = 300_000;

interface State {
  readonly until: number;
}

/** Of a pass that began after the last row was stored; null when none ends in time. */
async function stateAfter(store: Store, at: number, signal: AbortSignal): Promise<State | null> {
  for (const until = Date.now() + passWithinMs; Date.now() < until; await sleep(2_000)) {
    signal.throwIfAborted();
    const rows = await store.query<State>('select toUInt32(until) as until from rollup_state where started_at >= fromUnixTimestamp64Milli({at:Int64})', { at });
    if (rows[0]) return rows[0];
  }
  return null;
}

const differences = (view: string, start: string): string => `
  select countIf(rolled != counted) as different, sum(rolled) as total from (
    select bucket, source, model, status, sum(r) as rolled, sum(c) as counted from (
      select bucket, source, model, toString(status) as status, n as r, 0 as c from ${view} where bucket < ${start}(toDateTime({until:UInt32}, 'UTC'))
      union all
      select ${start}(accepted_at) as bucket, source, model, toString(status) as status, 0 as r, 1 as c from outcomes
      where accepted_at < ${start}(toDateTime({until:UInt32}, 'UTC'))
    ) group by bucket, source, model, status
  )`;

/** False also when no pass has come by in time, or it counted nothing. `storedBy`: when the last row was stored, in milliseconds since the epoch. */
export async function rollupsEqual(store: Store, storedBy: number, signal: AbortSignal): Promise<boolean> {
  const state = await stateAfter(store, storedBy, signal);
  if (state === null) return false;
  const found: { different: number; total: number }[] = [];
  for (const [view, start] of [['outcomes_by_minute', 'toStartOfMinute'], ['outcomes_by_hour', 'toStartOfHour']] as const) {
    found.push((await store.query<{ different: number; total: number }>(differences(view, start), { until: state.until }))[0]!);
  }
  return found.every(({ different }) => different === 0) && found[0]!.total > 0;
}
