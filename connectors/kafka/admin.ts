/** Questions about topics and groups, asked through one admin connection that is made anew after a failure. */
import kafkajs, { type Admin, type ITopicMetadata } from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Position, TopicPartition, TopicSpec } from '../ports.ts';
import { SaccadeError } from '../errors.ts';
import { kafkaClient, type KafkaOptions } from './client.ts';
import { isRefused, isSettling, isUnknownTopic, logUnavailable, reasonOf } from './errors.ts';

/** First and next offset of a partition. */
export interface Bounds extends TopicPartition {
  readonly low: number;
  readonly high: number;
}

export type KafkaAdmin = ReturnType<typeof kafkaAdmin>;

/** Headers and framing come on top of `maxRecordBytes`: a dead letter is its record plus the headers that say why. */
const headerAllowance = 64 * 1024;

export function kafkaAdmin(options: KafkaOptions) {
  let connection: Promise<Admin> | null = null;

  async function connect(): Promise<Admin> {
    const admin = kafkaClient(options).admin();
    await admin.connect();
    return admin;
  }

  function drop(): Promise<void> {
    const old = connection;
    connection = null;
    return old === null ? Promise.resolve() : old.then((admin) => admin.disconnect()).catch(() => {});
  }

  /** Throws log_unavailable, or invalid_config for what no retry can mend. */
  async function ask<T>(doing: string, question: (admin: Admin) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const current = (connection ??= connect());
      try {
        return await question(await current);
      } catch (error) {
        if (isRefused(error)) throw new SaccadeError('invalid_config', `${doing}: ${reasonOf(error)}`, error);
        // A kafkajs admin does not always find its way back to a broker that restarted: the next question gets a fresh one.
        if (connection === current && !isUnknownTopic(error)) void drop();
        if (!isSettling(error) || attempt === 10) throw logUnavailable(doing, error);
        await sleep(200);
      }
    }
  }

  return {
    clusterId: () => ask('asking for the cluster id', async (admin) => (await admin.describeCluster()).clusterId),

    ensureTopics: (specs: readonly TopicSpec[]) =>
      ask('creating topics', async (admin) => {
        const existing = new Set(await admin.listTopics());
        const missing = specs.filter(({ name }) => !existing.has(name));
        // Another process may create the same topics at this moment: kafkajs answers false if they all exist, which is as good.
        if (missing.length > 0) await admin.createTopics({ topics: missing.map(creation), waitForLeaders: false });
        if (specs.length > 0) await awaitLeaders(admin, specs.map(({ name }) => name));
      }),

    topics: () => ask('listing the topics', (admin) => admin.listTopics()),

    partitions: (topic: string) =>
      ask(`describing ${topic}`, async (admin) => (await describe(admin, [topic]))[0]?.partitions.length ?? 0),

    /** Resolves when each of the partitions has a leader. Kafka takes partitions away never, and refuses a count that is not more. */
    addPartitions: (topic: string, count: number): Promise<void> =>
      ask(`adding partitions to ${topic}`, async (admin) => {
        await admin.createPartitions({ topicPartitions: [{ topic, count }], timeout: 10_000 });
        await awaitLeaders(admin, [topic], count);
      }),

    /** Milliseconds that a topic's records are kept at most, by topic: until the file they lie in is closed, and then its retention. */
    keptMs: (topics: readonly string[]): Promise<ReadonlyMap<string, number>> =>
      ask('asking how long topics are kept', async (admin) => {
        const configNames = ['retention.ms', 'segment.ms'];
        const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames })) });
        return new Map(
          resources.map(({ resourceName, configEntries }) => {
            const [retention, segment] = configNames.map((name) => Number(configEntries.find(({ configName }) => configName === name)?.configValue));
            // -1 is for ever.
            return [resourceName, retention! < 0 ? Infinity : retention! + segment!];
          }),
        );
      }),

    /** Groups whose name begins so and that have members now, with how many. */
    liveGroups: (prefix: string): Promise<ReadonlyMap<string, number>> =>
      ask('asking for the groups', async (admin) => {
        const names = (await admin.listGroups()).groups.map(({ groupId }) => groupId).filter((name) => name.startsWith(prefix));
        if (names.length === 0) return new Map();
        const { groups } = await admin.describeGroups(names);
        return new Map(groups.filter(({ members }) => members.length > 0).map(({ groupId, members }) => [groupId, members.length]));
      }),

    bounds: (topic: string): Promise<Bounds[]> =>
      ask(`asking for the offsets of ${topic}`, async (admin) =>
        (await admin.fetchTopicOffsets(topic)).map(({ partition, low, high }) => ({
          topic,
          partition,
          low: Number(low),
          high: Number(high),
        })),
      ),

    offsetsAt: (topic: string, timestamp: number): Promise<Position[]> =>
      ask(`asking for the offsets of ${topic} by time`, async (admin) =>
        (await admin.fetchTopicOffsetsByTimestamp(topic, timestamp)).map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
      ),

    committed: (group: string, topics: readonly string[]): Promise<Position[]> =>
      ask(`asking for the commits of ${group}`, async (admin) =>
        (await admin.fetchOffsets({ groupId: group, topics: [...topics] })).flatMap(({ topic, partitions }) =>
          partitions
            .map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) }))
            // -1: never committed; -2: kafkajs's mark for 'begin at the earliest'.
            .filter(({ offset }) => offset >= 0),
        ),
      ),

    close: drop,
  };
}

/** The newest segment is never compacted, and by default lasts a week: each start reads such a topic whole. */
const compactedSegmentMs = 60 * 60_000;

function creation(spec: TopicSpec) {
  return {
    topic: spec.name,
    numPartitions: spec.partitions,
    replicationFactor: spec.replication,
    configEntries: [
      ...(spec.compacted ? [{ name: 'cleanup.policy', value: 'compact' }, { name: 'segment.ms', value: String(compactedSegmentMs) }] : [{ name: 'retention.ms', value: String(spec.retentionMs) }]),
      ...(spec.segmentMs ? [{ name: 'segment.ms', value: String(spec.segmentMs) }] : []),
      { name: 'max.message.bytes', value: String(spec.maxRecordBytes + headerAllowance) },
      { name: 'min.insync.replicas', value: String(spec.minInSync) },
    ],
  };
}

const describe = async (admin: Admin, topics: string[]): Promise<ITopicMetadata[]> =>
  (await admin.fetchTopicMetadata({ topics })).topics;

/**
 * A topic that was just created is not led, or not even known, everywhere at once, and metadata name a leader before it knows
 * of it. So each leader is asked: a producer that came too early to one of them would send to all of them twice.
 */
async function awaitLeaders(admin: Admin, topics: string[], least = 1): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const described = await describe(admin, topics);
      if (described.every(({ partitions }) => partitions.length >= least && partitions.every(({ leader }) => leader >= 0))) {
        await Promise.all(topics.map((topic) => admin.fetchTopicOffsets(topic)));
        return;
      }
    } catch (error) {
      if (!isUnknownTopic(error) && !isSettling(error)) throw error;
    }
    if (attempt === 50) throw new SaccadeError('log_unavailable', `no leaders yet for ${topics.join(', ')}`);
    await sleep(100);
  }
}
