import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import kafkajs, { type Admin } from 'kafkajs';
import { memoryLog } from '../connectors/memory/log.ts';
import { partitionOfKey } from '../connectors/memory/murmur2.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { isSettling } from '../connectors/kafka/errors.ts';
import { createGeneration } from '../connectors/kafka/generation.ts';
import { kafkaLog } from '../connectors/kafka/log.ts';
import type { FetchedBatch, Membership } from '../connectors/kafka/membership.ts';
import type { Log } from '../connectors/ports.ts';
import { logContract } from './contracts/log.ts';
import { kafkaBrokers, needsKafka } from './support/components.ts';
import { outgoing, silent, testKafkaLog, testTopic, uniqueName, until, watch } from './support/kafka.ts';

logContract('the in-process log', memoryLog, false);
logContract('the Kafka log', testKafkaLog, needsKafka);

test('keys lie in the same partition as with a Kafka client', () => {
  const partitioner = kafkajs.Partitioners.DefaultPartitioner();
  const partitionMetadata = Array.from({ length: 8 }, (_, partitionId) => ({ partitionId, leader: 1 }) as never);
  const keys = ['', 'a', 'ab', 'abc', 'abcd', 'camera-1', 'Straße', ...Array.from({ length: 500 }, (_, i) => randomBytes(i % 40))];
  for (const key of keys.map((each) => Buffer.from(each))) {
    const theirs = partitioner({ topic: 't', partitionMetadata, message: { key, value: null } });
    assert.equal(partitionOfKey(key, 8), theirs, key.toString('hex'));
  }
});

const kilobytes = (count: number): Buffer => Buffer.alloc(count * 1024);
const overloaded = (error: unknown): boolean => error instanceof SaccadeError && error.code === 'overloaded';

describe('the memory of the in-process log', () => {
  test('holds what a group still needs, up to a limit at which it refuses more', async () => {
    const log = memoryLog({ retainBytesPerTopic: 100 * 1024, maxBytesPerTopic: 300 * 1024 });
    const spec = testTopic({ partitions: 1 });
    await log.ensureTopics([spec]);
    const producer = await log.producer();
    const member = await watch(log, { group: 'g', topics: [spec.name] });
    for (let i = 0; i < 7; i += 1) await producer.send([outgoing(spec.name, 'k', kilobytes(40))]);
    await assert.rejects(producer.send([outgoing(spec.name, 'k', kilobytes(40))]), overloaded);
    await until('all arrive', () => member.records.length === 7);
    assert.equal(await member.consumer.commit(member.generation(), [{ topic: spec.name, partition: 0, offset: 6 }]), true);
    await producer.send([outgoing(spec.name, 'k', kilobytes(40))]);
    const late = await watch(log, { group: 'late', topics: [spec.name] });
    await until('what is left arrives', () => late.records.at(-1)?.offset === 7);
    assert.deepEqual(late.records.map(({ offset }) => offset), [6, 7], 'committed records made room');
    await log.close();
  });

  test('a group without members holds back less than one with members', async () => {
    const log = memoryLog({ retainBytesPerTopic: 100 * 1024, maxBytesPerTopic: 300 * 1024 });
    const spec = testTopic({ partitions: 1 });
    await log.ensureTopics([spec]);
    const producer = await log.producer();
    const gone = await watch(log, { group: 'gone', topics: [spec.name] });
    await gone.consumer.commit(gone.generation(), [{ topic: spec.name, partition: 0, offset: 0 }]);
    await gone.consumer.close();
    for (let i = 0; i < 30; i += 1) await producer.send([outgoing(spec.name, 'k', kilobytes(40))]);
    const back = await watch(log, { group: 'gone', topics: [spec.name] });
    await until('what is left arrives', () => back.records.at(-1)?.offset === 29);
    assert.equal(back.records.length, 7, 'the limit is the topic of the last 300 KB');
    assert.deepEqual(await log.beginningOffsets(spec.name), [{ topic: spec.name, partition: 0, offset: 23 }]);
    await log.close();
  });
});

describe('the Kafka log, on the outside', { skip: needsKafka }, () => {
  // Closed after each, whatever came of it: what stays open keeps the test process from ending.
  let log: Log;
  let admin: Admin;
  beforeEach(async () => {
    log = testKafkaLog();
    admin = new kafkajs.Kafka({ brokers: [...(kafkaBrokers ?? [])], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
  });
  afterEach(async () => {
    await admin.disconnect();
    await log.close();
  });

  test('a single record is read from partitions that were added since, too many that wait are refused, and a closed log opens nothing', async () => {
    const spec = testTopic({ partitions: 1 });
    await log.ensureTopics([spec]);
    const producer = await log.producer();
    await producer.send([outgoing(spec.name, 'k', 'first', { partition: 0 })]);
    assert.equal(String((await log.read({ topic: spec.name, partition: 0, offset: 0 }))!.value), 'first');
    await admin.createPartitions({ topicPartitions: [{ topic: spec.name, count: 3 }] });
    const later = await testKafkaLog().producer();
    await later.send([outgoing(spec.name, 'k', 'added', { partition: 2 })]);
    await later.close();
    assert.equal(String((await log.read({ topic: spec.name, partition: 2, offset: 0 }))!.value), 'added');
    const crowd = await Promise.allSettled(Array.from({ length: 100 }, () => log.read({ topic: spec.name, partition: 0, offset: 0 })));
    assert.deepEqual([...new Set(crowd.map((one) => (one.status === 'fulfilled' ? String(one.value?.value) : (one.reason as SaccadeError).code)))], ['first', 'log_unavailable']);
    await log.close();
    await assert.rejects(log.read({ topic: spec.name, partition: 0, offset: 0 }), { code: 'log_unavailable' });
  });

  test('close leaves the group: the broker knows no member any more', async () => {
    const spec = testTopic();
    await log.ensureTopics([spec]);
    const group = uniqueName('group');
    const members = async () => (await admin.describeGroups([group])).groups[0]?.members.length;
    const member = await watch(log, { group, topics: [spec.name] });
    assert.equal(await members(), 1);
    await member.consumer.close();
    assert.equal(await members(), 0);
  });

  test('a member that retention overtakes goes on with the first record there is', async () => {
    const spec = testTopic({ partitions: 1 });
    await log.ensureTopics([spec]);
    const producer = await log.producer();
    const member = await watch(log, { group: uniqueName('group'), topics: [spec.name] });
    const send = (from: number, to: number) =>
      producer.send(Array.from({ length: to - from }, (_, i) => outgoing(spec.name, 'k', `${from + i}`)));
    await send(0, 10);
    await until('the first arrive', () => member.records.length >= 10);
    member.consumer.pause(member.partitions());
    await send(10, 30);
    // kafkajs deletes nothing of a topic it has not been asked about before.
    await admin.fetchTopicOffsets(spec.name);
    await admin.deleteTopicRecords({ topic: spec.name, partitions: [{ partition: 0, offset: '20' }] });
    assert.deepEqual(await log.beginningOffsets(spec.name), [{ topic: spec.name, partition: 0, offset: 20 }]);
    member.consumer.resume(member.partitions());
    await send(30, 35);
    await until('what is left arrives', () => member.values().includes('34'));
    const expected = Array.from({ length: 35 }, (_, i) => i);
    // Kafkajs may have fetched some before they were deleted; none comes twice or out of order.
    assert.deepEqual(member.values().map(Number).filter((i) => i < 10 || i >= 20), expected.filter((i) => i < 10 || i >= 20));
    assert.equal(await member.consumer.commit(member.generation(), [{ topic: spec.name, partition: 0, offset: 35 }]), true);
    await member.consumer.close();
    // A group that comes back to a commit that retention has passed.
    const late = uniqueName('group');
    const first = await watch(log, { group: late, topics: [spec.name] });
    assert.equal(await first.consumer.commit(first.generation(), [{ topic: spec.name, partition: 0, offset: 3 }]), true);
    await first.consumer.close();
    const second = await watch(log, { group: late, topics: [spec.name] });
    await until('what is left arrives', () => second.records.length >= 15);
    assert.equal(second.records[0]?.offset, 20);
  });

  test('what a member commits as its generation ends is not handed to the next owner', async () => {
    const spec = testTopic({ partitions: 2 });
    await log.ensureTopics([spec]);
    const producer = await log.producer();
    const group = uniqueName('group');
    const next = new Map<number, number>();
    const ended: { generation: number; commit: Promise<boolean> }[] = [];
    const first = await log.consumer({
      group,
      topics: [spec.name],
      from: 'earliest',
      maxBytes: 1024 * 1024,
      maxBytesPerPartition: 1024 * 1024,
      handlers: {
        assigned() {},
        records: (_generation, { partition }, records) => void next.set(partition, records.at(-1)!.offset + 1),
        ending(generation) {
          const positions = [...next].map(([partition, offset]) => ({ topic: spec.name, partition, offset }));
          ended.push({ generation, commit: first.commit(generation, positions) });
        },
      },
    });
    await producer.send([0, 1].flatMap((partition) => ['a', 'b', 'c'].map((value) => outgoing(spec.name, null, value, { partition }))));
    await until('all arrive', () => next.get(0) === 3 && next.get(1) === 3);
    assert.deepEqual(await log.committed(group, spec.name), [], 'nothing is committed so far');
    const second = await watch(log, { group, topics: [spec.name] });
    await until('the second has its half', () => second.partitions().length === 1);
    assert.equal(ended.length, 1);
    assert.equal(await ended[0]!.commit, true);
    await producer.send([0, 1].map((partition) => outgoing(spec.name, null, 'd', { partition })));
    await until('the next record arrives', () => second.records.length > 0);
    assert.deepEqual(second.values(), ['d']);
    await Promise.all([first.close(), second.consumer.close()]);
  });

  test("a claim from the latest whose membership crashed is not handed again what it was handed before", async () => {
    const spec = testTopic({ partitions: 1 });
    await log.ensureTopics([spec]);
    const producer = await log.producer();
    const [seen, generations]: [string[], number[]] = [[], []];
    await log.consumer({
      group: uniqueName('group'),
      topics: [spec.name],
      from: 'latest',
      claim: [0],
      maxBytes: 1024 * 1024,
      maxBytesPerPartition: 1024 * 1024,
      handlers: {
        assigned: (generation) => void generations.push(generation),
        records(_generation, _source, records) {
          const values = records.map(({ value }) => String(value));
          // kafkajs tries a few times, then gives the membership up, as it does when a broker restarts.
          if (generations.length === 1 && values.includes('c')) throw new Error('not in this generation');
          seen.push(...values);
        },
      },
    });
    await producer.send([outgoing(spec.name, 'k', 'a'), outgoing(spec.name, 'k', 'b')]);
    await until('the first arrive', () => seen.length >= 2);
    await producer.send([outgoing(spec.name, 'k', 'c')]);
    await until('the next arrives after the crash', () => seen.includes('c'));
    assert.ok(generations.length > 1, 'the group was joined again');
    assert.deepEqual(seen, ['a', 'b', 'c']);
  });

  test('topics are created with their settings', async () => {
    const spec = testTopic({ retentionMs: 123_000, maxRecordBytes: 1_000_000 });
    const table = testTopic({ partitions: 1, compacted: true });
    await log.ensureTopics([spec, table]);
    const settingsOf = async (name: string): Promise<Map<string, string>> => {
      const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name };
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
      return new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]));
    };
    const settings = await settingsOf(spec.name);
    assert.equal((await settingsOf(table.name)).get('cleanup.policy'), 'compact');
    assert.equal((await settingsOf(table.name)).get('segment.ms'), '3600000', 'its newest segment is never compacted');
    assert.equal(settings.get('retention.ms'), '123000');
    assert.equal(settings.get('max.message.bytes'), String(1_000_000 + 64 * 1024));
    assert.equal(settings.get('min.insync.replicas'), '1');
  });

  test('a topic the brokers cannot hold is a matter of configuration', async () => {
    const refused = log.ensureTopics([testTopic({ replication: 30 })]);
    await assert.rejects(refused, (error) => error instanceof SaccadeError && error.code === 'invalid_config');
  });
});

test('a fetch that was asked in an older generation is not taken over', async () => {
  const at = { topic: 't', partition: 0 };
  const [taken, seeks]: [number[], number[]] = [[], []];
  const membership: Membership = {
    pause() {},
    resume() {},
    seek: ({ offset }) => void seeks.push(offset),
    commit: async () => {},
    close: async () => {},
  };
  const generation = createGeneration({
    number: 2,
    membership,
    partitions: [at],
    options: {
      group: 'g',
      topics: ['t'],
      from: 'earliest',
      maxBytes: 1,
      maxBytesPerPartition: 1,
      handlers: { assigned() {}, records: (_generation, _source, records) => void taken.push(...records.map(({ offset }) => offset)) },
    },
    admin: { bounds: async () => [{ ...at, low: 0, high: 500 }], committed: async () => [{ ...at, offset: 90 }] },
    ends: new Map(),
    kept: new Map(),
  });
  const batch = (from: number, count: number) =>
    ({
      ...at,
      fetchedOffset: `${from}`,
      messages: Array.from({ length: count }, (_, i) => ({ offset: `${from + i}`, timestamp: '0', key: null, value: null })),
      lastOffset: () => `${from + count - 1}`,
    }) as unknown as FetchedBatch;

  assert.equal(generation.take(batch(100, 5)), false, 'before it is known where to begin');
  assert.equal(await generation.start(), true);
  assert.deepEqual(seeks, [90]);
  assert.equal(generation.take(batch(100, 5)), false, 'beyond records that were never committed');
  await until('it asks again from where it should', () => seeks.length === 2);
  assert.deepEqual(seeks, [90, 90]);
  assert.equal(generation.take(batch(90, 5)), true);
  assert.equal(generation.take(batch(95, 1)), true);
  generation.end();
  assert.equal(generation.take(batch(96, 1)), false, 'after its end');
  assert.deepEqual(taken, [90, 91, 92, 93, 94, 95]);
});

test('what is claimed is read from where it begins at once: nothing rests until that has been asked', async () => {
  const at = { topic: 't', partition: 0 };
  const calls: string[] = [];
  const membership: Membership = { pause: () => void calls.push('pause'), resume: () => void calls.push('resume'), seek: ({ offset }) => void calls.push(`seek ${offset}`), commit: async ([position]) => void calls.push(`commit ${position!.offset}`), close: async () => {} };
  const asked = async (): Promise<never> => assert.fail('it is known');
  const options = { group: 'g', topics: ['t'], from: 'latest', claim: [0], maxBytes: 1, maxBytesPerPartition: 1, handlers: { assigned() {}, records() {} } } as const;
  const generation = createGeneration({ number: 1, membership, partitions: [at], options, admin: { bounds: asked, committed: asked }, ends: new Map(), kept: new Map() });
  const positions = [{ ...at, offset: 7 }];
  const started = generation.start({ positions, fresh: positions });
  assert.deepEqual(calls.slice(0, 2), ['seek 7', 'resume'], 'before kafkajs fetches for the first time');
  assert.equal(await started, true);
  assert.deepEqual(calls, ['seek 7', 'resume', 'commit 7']);
  generation.end();
});

test('a Kafka that is not there is log_unavailable', async () => {
  const log = kafkaLog({ brokers: ['127.0.0.1:1'], clientId: 'saccade-test', log: silent });
  await assert.rejects(log.clusterId(), (error) => error instanceof SaccadeError && error.code === 'log_unavailable' && error.retryable);
  await assert.rejects(log.producer(), (error) => error instanceof SaccadeError && error.code === 'log_unavailable');
  await log.close();
});

test('metadata that do not name a young topic yet are asked for again, not taken for a lost log', () => {
  // The classes are exported; kafkajs's types leave some out.
  const { KafkaJSTopicMetadataNotLoaded: NotLoaded } = kafkajs as unknown as { KafkaJSTopicMetadataNotLoaded: new (message: string, about: { topic: string }) => Error };
  assert.equal(isSettling(new NotLoaded('Topic metadata not loaded', { topic: 't' })), true);
  assert.equal(isSettling(new Error('wrapped', { cause: new NotLoaded('Topic metadata not loaded', { topic: 't' }) })), true);
  assert.equal(isSettling(new Error('Topic metadata not loaded')), false);
});
