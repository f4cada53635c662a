/** The log inside this process: the same behaviour as Kafka's for one process, without its durability. Bounded in bytes. */
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { ConsumerOptions, Log, LogConsumer, LogProducer, OutgoingRecord, Position, TopicPartition } from '../ports.ts';
import { SaccadeError } from '../errors.ts';
import { consumedBy, newGroup, newMember, positionsOf, rebalance, type Bounds, type Group, type Member } from './group.ts';
import { deliver } from './delivery.ts';
import { memoryTopic, recordBytes, type MemoryTopic } from './topic.ts';

export interface MemoryLogOptions {
  /** Above this a topic drops its oldest records, once every group has committed past them. */
  readonly retainBytesPerTopic?: number;
  /** A topic never holds more: it drops what only groups without members still need, and then `send` throws overloaded. */
  readonly maxBytesPerTopic?: number;
  /** Stamps records that bring no timestamp. */
  readonly now?: () => number;
}

const MiB = 1024 * 1024;

/**
 * Takes the buffers it is sent over, without a copy. Nothing is handed to a consumer while `send`, `consumer` or `commit`
 * runs: deliveries come from the event loop.
 */
export function memoryLog({
  retainBytesPerTopic = 64 * MiB,
  maxBytesPerTopic = 256 * MiB,
  now = Date.now,
}: MemoryLogOptions = {}): Log {
  const cluster = `memory-${randomUUID()}`;
  const topics = new Map<string, MemoryTopic>();
  const groups = new Map<string, Group>();
  let closed = false;

  function topicOf(name: string): MemoryTopic {
    const topic = topics.get(name);
    if (topic === undefined || closed) {
      throw new SaccadeError('log_unavailable', closed ? 'the log is closed' : `there is no topic ${name}`);
    }
    return topic;
  }

  const bounds: Bounds = {
    partitions: (topic) => topicOf(topic).spec.partitions,
    low: ({ topic, partition }) => topicOf(topic).low(partition),
    high: ({ topic, partition }) => topicOf(topic).high(partition),
  };

  const inEach = (topic: string, offset: (at: TopicPartition) => number): Position[] =>
    Array.from({ length: bounds.partitions(topic) }, (_, partition) => ({ topic, partition, offset: offset({ topic, partition }) }));

  function groupOf(name: string): Group {
    const group = groups.get(name) ?? newGroup();
    groups.set(name, group);
    return group;
  }

  function wake(which: (member: Member) => boolean): void {
    for (const { members } of groups.values()) {
      for (const member of members) if (which(member)) deliver(member, topicOf);
    }
  }

  function trim(topic: MemoryTopic, toBytes: number, needed: (group: Group) => boolean = () => true): void {
    if (topic.bytes() <= toBytes) return;
    const asking = [...groups.values()].filter(needed);
    topic.trim(toBytes, (partition) => consumedBy(asking, { topic: topic.spec.name, partition }));
  }

  /** All or none of the records, so that a send that is refused can be repeated as it is. */
  function append(records: readonly OutgoingRecord[]): void {
    const incoming = new Map<MemoryTopic, number>();
    for (const record of records) {
      const topic = topicOf(record.topic);
      topic.check(record);
      incoming.set(topic, (incoming.get(topic) ?? 0) + recordBytes(record));
    }
    for (const [topic, bytes] of incoming) {
      trim(topic, Math.max(0, retainBytesPerTopic - bytes));
      trim(topic, Math.max(0, maxBytesPerTopic - bytes), ({ members }) => members.size > 0);
      if (topic.bytes() + bytes > maxBytesPerTopic) {
        throw new SaccadeError('overloaded', `${topic.spec.name} holds ${topic.bytes()} bytes that are still needed.`);
      }
    }
    for (const record of records) topicOf(record.topic).append(record, now());
    wake(({ options }) => records.some(({ topic }) => options.topics.includes(topic)));
  }

  function createProducer(): LogProducer {
    let open = true;
    return {
      async send(records) {
        if (!open || closed) throw new SaccadeError('log_unavailable', 'the producer is closed');
        append(records);
      },
      async close() {
        open = false;
      },
    };
  }

  function createConsumer(options: ConsumerOptions): LogConsumer {
    const group = groupOf(options.group);
    const member = newMember(options);
    const regroup = (): void => {
      rebalance(group, bounds);
      for (const each of group.members) deliver(each, topicOf);
    };
    group.members.add(member);
    regroup();

    return {
      pause(partitions) {
        for (const { topic, partition } of partitions) member.paused.add(`${topic}/${partition}`);
      },
      resume(partitions) {
        for (const { topic, partition } of partitions) member.paused.delete(`${topic}/${partition}`);
        deliver(member, topicOf);
      },
      async commit(generation, positions) {
        if (!group.members.has(member) || generation !== group.generation) return false;
        for (const { topic, partition, offset } of positions) group.committed.set(`${topic}/${partition}`, offset);
        for (const topic of new Set(positions.map((at) => at.topic))) trim(topicOf(topic), retainBytesPerTopic);
        return true;
      },
      async close() {
        member.generation = 0;
        if (!group.members.delete(member) || closed) return;
        // Nobody can resume a claim, so its commits must not hold records back.
        if (options.claim !== undefined && group.members.size === 0) group.committed.clear();
        regroup();
      },
    };
  }

  return {
    kind: 'memory',
    durable: false,
    clusterId: async () => cluster,
    async ensureTopics(specs) {
      for (const spec of specs) if (!topics.has(spec.name)) topics.set(spec.name, memoryTopic(spec));
    },
    producer: async () => createProducer(),
    async consumer(options) {
      for (const topic of options.topics) topicOf(topic);
      const consumer = createConsumer(options);
      // The turn of the event loop in which the owner is told of its partitions.
      await setImmediate();
      return consumer;
    },
    partitions: async (topic) => bounds.partitions(topic),
    async read({ topic, partition, offset }) {
      const found = closed || topics.has(topic) ? topicOf(topic) : null;
      if (!found || partition >= found.spec.partitions) return null;
      return found.read(partition, offset, 1).find((record) => record.offset === offset) ?? null;
    },
    beginningOffsets: async (topic) => inEach(topic, bounds.low),
    endOffsets: async (topic) => inEach(topic, bounds.high),
    offsetsAt: async (topic, timestamp) => inEach(topic, (at) => topicOf(topic).firstSince(at.partition, timestamp)),
    committed: async (group, topic) => positionsOf(groups.get(group)?.committed ?? new Map(), topic, bounds.partitions(topic)),
    async close() {
      closed = true;
      for (const { members } of groups.values()) {
        for (const member of members) member.generation = 0;
        members.clear();
      }
      topics.clear();
    },
  };
}
