import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import kafkajs from 'kafkajs';
import { memoryLog } from '../connectors/memory/log.ts';
import { partitionOfKey } from '../connectors/memory/murmur2.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { kafkaLog } from '../connectors/kafka/log.ts';
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
    await log.close();
  });
});

describe('the Kafka log, on the outside', { skip: needsKafka }, () => {
  test('close leaves the group: the broker knows no member any more', async () => {
    const log = testKafkaLog();
    const spec = testTopic();
    await log.ensureTopics([spec]);
    const group = uniqueName('group');
    const admin = new kafkajs.Kafka({ brokers: [...(kafkaBrokers ?? [])], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    const members = async () => (await admin.describeGroups([group])).groups[0]?.members.length;
    const member = await watch(log, { group, topics: [spec.name] });
    assert.equal(await members(), 1);
    await member.consumer.close();
    assert.equal(await members(), 0);
    await admin.disconnect();
    await log.close();
  });

  test('topics are created with their settings', async () => {
    const log = testKafkaLog();
    const spec = testTopic({ retentionMs: 123_000, maxRecordBytes: 1_000_000 });
    await log.ensureTopics([spec]);
    const admin = new kafkajs.Kafka({ brokers: [...(kafkaBrokers ?? [])], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: spec.name }],
    });
    const settings = new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]));
    assert.equal(settings.get('retention.ms'), '123000');
    assert.equal(settings.get('max.message.bytes'), String(1_000_000 + 64 * 1024));
    assert.equal(settings.get('min.insync.replicas'), '1');
    await admin.disconnect();
    await log.close();
  });

  test('a topic the brokers cannot hold is a matter of configuration', async () => {
    const log = testKafkaLog();
    const refused = log.ensureTopics([testTopic({ replication: 30 })]);
    await assert.rejects(refused, (error) => error instanceof SaccadeError && error.code === 'invalid_config');
    await log.close();
  });
});

test('a Kafka that is not there is log_unavailable', async () => {
  const log = kafkaLog({ brokers: ['127.0.0.1:1'], clientId: 'saccade-test', log: silent });
  await assert.rejects(log.clusterId(), (error) => error instanceof SaccadeError && error.code === 'log_unavailable' && error.retryable);
  await assert.rejects(log.producer(), (error) => error instanceof SaccadeError && error.code === 'log_unavailable');
  await log.close();
});
