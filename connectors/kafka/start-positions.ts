/** Where a member begins to read the partitions it was given. */
import type { ConsumerOptions, Position, TopicPartition } from '../ports.ts';
import type { KafkaAdmin } from './admin.ts';

/** The part of the admin that knows where partitions begin and end, and where groups are. */
export type Offsets = Pick<KafkaAdmin, 'bounds' | 'committed'>;

export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

export interface StartPositions {
  readonly positions: readonly Position[];
  /** Those the group had no commit for. */
  readonly fresh: readonly Position[];
}

/** The end of every partition at this moment, by key: where a group begins that reads from the latest. */
export async function currentEnds(admin: Offsets, topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const bounds = (await Promise.all(topics.map(admin.bounds))).flat();
  return new Map(bounds.map((at) => [keyOf(at), at.high]));
}

/**
 * The committed position, else the end that was noted when the consumer was made (`latest`) or the first record there is.
 * A partition that came into being since then is read from its beginning in either case. `kept` comes before all of these:
 * what this same consumer had reached, where it is not to begin again at the commit.
 */
export async function startPositions(
  admin: Offsets,
  { group, topics, from }: ConsumerOptions,
  assigned: readonly TopicPartition[],
  ends: ReadonlyMap<string, number>,
  kept: ReadonlyMap<string, number>,
): Promise<StartPositions> {
  const [committed, bounds] = await Promise.all([admin.committed(group, topics), Promise.all(topics.map(admin.bounds))]);
  const commits = new Map(committed.map((at) => [keyOf(at), at.offset]));
  const limits = new Map(bounds.flat().map((at) => [keyOf(at), at]));
  const fresh: Position[] = [];
  const positions = assigned.map(({ topic, partition }) => {
    const key = keyOf({ topic, partition });
    const { low, high } = limits.get(key) ?? { low: 0, high: 0 };
    const commit = commits.get(key);
    const wanted = kept.get(key) ?? commit ?? (from === 'latest' ? (ends.get(key) ?? low) : low);
    // Retention overtook the group, or the topic is another one by the same name: the first record there is comes next.
    const position = { topic, partition, offset: wanted < low || wanted > high ? low : wanted };
    if (commit === undefined) fresh.push(position);
    return position;
  });
  return { positions, fresh };
}
