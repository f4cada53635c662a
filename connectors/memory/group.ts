/** A consumer group of the in-process log: eager rebalances, in which every member starts a new generation. */
import type { ConsumerOptions, Position, TopicPartition } from '../ports.ts';

export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

export interface Member {
  readonly options: ConsumerOptions;
  generation: number;
  assigned: readonly TopicPartition[];
  /** Next offset to hand over, by partition. */
  readonly next: Map<string, number>;
  readonly paused: Set<string>;
  /** Index in `assigned` at which the next delivery begins, so that a full one does not starve the partitions behind. */
  turn: number;
}

export interface Group {
  readonly members: Set<Member>;
  readonly committed: Map<string, number>;
  generation: number;
}

/** What a group needs to know of the topics. */
export interface Bounds {
  partitions(topic: string): number;
  low(at: TopicPartition): number;
  high(at: TopicPartition): number;
}

export const newGroup = (): Group => ({ members: new Set(), committed: new Map(), generation: 0 });

export const newMember = (options: ConsumerOptions): Member => ({
  options,
  generation: 0,
  assigned: [],
  next: new Map(),
  paused: new Set(),
  turn: 0,
});

/** Deals the partitions out anew. Positions go back to the commits (but of a claim from the latest), pauses end. */
export function rebalance(group: Group, bounds: Bounds): void {
  group.generation += 1;
  const members = [...group.members];
  const topics = [...new Set(members.flatMap(({ options }) => options.topics))];
  const all = topics.flatMap((topic) => Array.from({ length: bounds.partitions(topic) }, (_, partition) => ({ topic, partition })));
  const sharing = members.filter(({ options }) => options.claim === undefined);
  for (const member of members) {
    const { claim, topics: wanted } = member.options;
    member.generation = group.generation;
    member.turn = 0;
    member.assigned =
      claim === undefined
        ? all.filter(({ topic }, i) => {
            const takers = sharing.filter(({ options }) => options.topics.includes(topic));
            return takers[i % takers.length] === member;
          })
        : all.filter(({ topic, partition }) => wanted.includes(topic) && claim.includes(partition));
    place(group, member, bounds);
  }
}

function place(group: Group, member: Member, bounds: Bounds): void {
  const before = new Map(member.next);
  // Such a member need not commit: at its commit it would begin again with all it was ever handed.
  const keeps = member.options.claim !== undefined && member.options.from === 'latest';
  member.next.clear();
  member.paused.clear();
  for (const at of member.assigned) {
    const key = keyOf(at);
    // What 'the latest' was must be the same for every later member, or records between two members' ideas of it are lost.
    if (member.options.from === 'latest' && !group.committed.has(key)) group.committed.set(key, bounds.high(at));
    const reached = keeps ? before.get(key) : undefined;
    member.next.set(key, Math.max(reached ?? group.committed.get(key) ?? 0, bounds.low(at)));
  }
}

/** Below this offset none of these groups needs the partition's records any more. */
export function consumedBy(groups: Iterable<Group>, at: TopicPartition): number {
  const key = keyOf(at);
  let consumed = Infinity;
  for (const { members, committed } of groups) {
    const claims = [...members].filter(({ options }) => options.claim !== undefined);
    if (claims.length > 0) {
      // A claimed partition is read by one member alone, which need not commit: what it was handed is consumed.
      for (const { next } of claims) consumed = Math.min(consumed, next.get(key) ?? Infinity);
    } else if (committed.has(key) || [...members].some(({ options }) => options.topics.includes(at.topic))) {
      consumed = Math.min(consumed, committed.get(key) ?? 0);
    }
  }
  return consumed;
}

export const positionsOf = (committed: ReadonlyMap<string, number>, topic: string, partitions: number): Position[] =>
  Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: committed.get(keyOf({ topic, partition })) ?? -1 })).filter(
    ({ offset }) => offset >= 0,
  );
