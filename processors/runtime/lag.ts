/** What a group has still to do, and what it can no longer do because retention was faster. */
import type { Log } from '../../connectors/ports.ts';

export interface Unfinished {
  readonly topic: string;
  readonly partition: number;
  /** First offset that is neither committed nor deleted. */
  readonly from: number;
  readonly end: number;
  /** Records that were deleted before the group committed them. */
  readonly expired: number;
}

export async function unfinished(log: Log, group: string, topic: string): Promise<Unfinished[]> {
  const [ends, lows, committed] = await Promise.all([log.endOffsets(topic), log.beginningOffsets(topic), log.committed(group, topic)]);
  const low = new Map(lows.map((p) => [p.partition, p.offset]));
  const done = new Map(committed.map((p) => [p.partition, p.offset]));
  return ends.map(({ partition, offset: end }) => {
    const first = low.get(partition) ?? 0;
    const position = done.get(partition);
    return { topic, partition, from: Math.max(first, position ?? first), end, expired: position === undefined ? 0 : Math.max(0, first - position) };
  });
}
