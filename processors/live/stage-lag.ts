/** Lag and rate of each stage from the log itself, so that they are right whichever process runs the stage. */
import type { Log, Position } from '../../connectors/ports.ts';
import type { StageState } from './events.ts';

export interface WatchedGroup {
  readonly stage: string;
  readonly group: string;
  readonly topic: string;
}

/** Rates are taken between looks this far apart at most; commits come in steps, so a shorter span would flicker. */
const SPAN_MS = 10_000;

interface Look {
  readonly at: number;
  readonly committed: ReadonlyMap<number, number>;
}

/** Each call looks at the log once. Throws log_unavailable. */
export function stageLag(log: Pick<Log, 'endOffsets' | 'committed'>, groups: readonly WatchedGroup[]): (now: number) => Promise<StageState[]> {
  const looks = new Map<WatchedGroup, Look[]>();
  return async (now) => {
    const topics = [...new Set(groups.map(({ topic }) => topic))];
    // Commits are read before ends: the other way round a record written and committed in between would make lag negative.
    const committed = await Promise.all(groups.map(({ group, topic }) => log.committed(group, topic)));
    const ends = new Map(await Promise.all(topics.map(async (topic) => [topic, await log.endOffsets(topic)] as const)));
    return groups.map((watched, index) => {
      const look: Look = { at: now, committed: offsets(committed[index]!) };
      const earlier = (looks.get(watched) ?? []).filter(({ at }) => now - at <= SPAN_MS);
      looks.set(watched, [...earlier, look]);
      return { ...watched, lag: lagOf(ends.get(watched.topic)!, look.committed), rate: rateOf(earlier[0], look) };
    });
  };
}

const offsets = (positions: readonly Position[]): Map<number, number> =>
  new Map(positions.map(({ partition, offset }) => [partition, offset]));

/** A partition never committed counts from its beginning, where the stage will begin too. */
const lagOf = (ends: readonly Position[], committed: ReadonlyMap<number, number>): number =>
  ends.reduce((sum, { partition, offset }) => sum + Math.max(0, offset - (committed.get(partition) ?? 0)), 0);

function rateOf(before: Look | undefined, now: Look): number | null {
  if (!before || now.at <= before.at) return null;
  let advance = 0;
  // A position set back (a replay, a topic made anew) is no work done.
  for (const [partition, offset] of now.committed) advance += Math.max(0, offset - (before.committed.get(partition) ?? 0));
  return (advance * 1000) / (now.at - before.at);
}
