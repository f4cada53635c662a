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
export function stageLag(log: Pick<Log, 'beginningOffsets' | 'endOffsets' | 'committed'>, groupsNow: () => readonly WatchedGroup[]): (now: number) => Promise<StageState[]> {
  let looks = new Map<string, Look[]>();
  return async (now) => {
    const groups = groupsNow();
    const topics = [...new Set(groups.map(({ topic }) => topic))];
    // Commits are read before ends: the other way round a record written and committed in between would make lag negative.
    const committed = await Promise.all(groups.map(({ group, topic }) => log.committed(group, topic)));
    const ends = new Map(await Promise.all(topics.map(async (topic) => [topic, await log.endOffsets(topic)] as const)));
    const begins = new Map(await Promise.all(topics.map(async (topic) => [topic, offsets(await log.beginningOffsets(topic))] as const)));
    const earlierLooks = looks;
    looks = new Map();
    return groups.map((watched, index) => {
      const look: Look = { at: now, committed: offsets(committed[index]!) };
      const earlier = (earlierLooks.get(watched.stage) ?? []).filter(({ at }) => now - at <= SPAN_MS);
      looks.set(watched.stage, [...earlier, look]);
      return { ...watched, lag: lagOf(begins.get(watched.topic)!, ends.get(watched.topic)!, look.committed), rate: rateOf(begins.get(watched.topic)!, earlier[0], look) };
    });
  };
}

const offsets = (positions: readonly Position[]): Map<number, number> =>
  new Map(positions.map(({ partition, offset }) => [partition, offset]));

/** A partition never committed counts from the first record there is, where the stage will begin too; so does one that retention overtook. */
const lagOf = (begins: ReadonlyMap<number, number>, ends: readonly Position[], committed: ReadonlyMap<number, number>): number =>
  ends.reduce((sum, { partition, offset }) => {
    const low = begins.get(partition) ?? 0;
    return sum + Math.max(0, offset - Math.max(committed.get(partition) ?? low, low));
  }, 0);

function rateOf(begins: ReadonlyMap<number, number>, before: Look | undefined, now: Look): number | null {
  if (!before || now.at <= before.at) return null;
  let advance = 0;
  // A position set back (a replay, a topic made anew) is no work done.
  for (const [partition, offset] of now.committed) advance += Math.max(0, offset - (before.committed.get(partition) ?? begins.get(partition) ?? 0));
  return (advance * 1000) / (now.at - before.at);
}
