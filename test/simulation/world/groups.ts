/** The coordinator of the consumer groups: who is a member, who holds what, what is committed. */
import type { Position, TopicPartition } from '../../../connectors/ports.ts';
import type { Broker } from './broker.ts';
import type { Random } from './random.ts';

export interface Member {
  readonly name: string;
  readonly topic: string;
  /** The partitions it gets whatever others hold, as Kafka's members do by their assigner; null: its share. */
  readonly claim: readonly number[] | null;
  /** The generation it belongs to as the coordinator sees it, and what it holds in that. */
  generation: number;
  assigned: readonly TopicPartition[];
  /** A new generation has begun; the member will hear of it in its own time. */
  rebalanced(): void;
}

export interface Group {
  readonly name: string;
  readonly topic: string;
  generation: number;
  readonly members: Set<Member>;
  readonly committed: Map<number, number>;
}

export interface Groups {
  readonly rebalances: number;
  all(): Iterable<Group>;
  find(name: string): Group | undefined;
  join(group: string, member: Member): void;
  leave(group: string, member: Member): void;
  /** False, and nothing is committed, unless the member belongs to the current generation and names it. */
  commit(group: string, member: Member, generation: number, positions: readonly Position[]): boolean;
  onCommit(told: (group: Group, position: Position, before: number) => void): void;
}

export function createGroups(broker: Broker, random: Random, note: (who: string, what: string) => void): Groups {
  const groups = new Map<string, Group>();
  const listeners: ((group: Group, position: Position, before: number) => void)[] = [];
  let rebalances = 0;

  function rebalance(group: Group): void {
    group.generation += 1;
    rebalances += 1;
    const members = random.shuffled([...group.members]);
    const { topic } = group;
    for (const [index, member] of members.entries()) {
      member.generation = group.generation;
      member.assigned = Array.from({ length: broker.partitions(topic) }, (_, partition) => ({ topic, partition })).filter(
        ({ partition }) => (member.claim ? member.claim.includes(partition) : partition % members.length === index),
      );
      member.rebalanced();
    }
    note('groups', `${group.name} generation ${group.generation}: ${members.map((m) => `${m.name} [${m.assigned.map((a) => a.partition).join()}]`).join(', ')}`);
  }

  return {
    get rebalances() {
      return rebalances;
    },
    all: () => groups.values(),
    find: (name) => groups.get(name),
    join(name, member) {
      let group = groups.get(name);
      if (!group) groups.set(name, (group = { name, topic: member.topic, generation: 0, members: new Set(), committed: new Map() }));
      group.members.add(member);
      rebalance(group);
    },
    leave(name, member) {
      const group = groups.get(name);
      if (group?.members.delete(member)) rebalance(group);
    },
    commit(name, member, generation, positions) {
      const group = groups.get(name)!;
      if (!group.members.has(member) || generation !== group.generation) return false;
      for (const position of positions) {
        const before = group.committed.get(position.partition) ?? 0;
        group.committed.set(position.partition, position.offset);
        for (const told of listeners) told(group, position, before);
      }
      return true;
    },
    onCommit: (told) => void listeners.push(told),
  };
}
