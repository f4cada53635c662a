import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { restWhenIdle } from '../connectors/kafka/idle-fetch.ts';
import { copyOfKafkajs } from './support/copy-of-kafkajs.ts';

interface Asked {
  readonly maxWaitTime: number;
  readonly minBytes: number;
}

interface Group {
  fetch(nodeId: string): Promise<unknown>;
  readonly subscriptionState: { assign(of: object[]): void; pause(of: object[]): void; resume(of: object[]): void };
}

interface Kind {
  new (options: object): Group;
  readonly prototype: never;
}

const Original = copyOfKafkajs<Kind>('consumer/consumerGroup');
const Resting = copyOfKafkajs<Kind>('consumer/consumerGroup');
restWhenIdle(Resting);

const logger = { namespace: () => logger, debug() {}, info() {}, warn() {}, error() {} };
const startedAt = 1_700_000_000_000;
const partitions = [{ topic: 't', partitions: [0] }];

/** A member of a group that holds one partition, of a broker that has what `found` says, and what it was asked. */
function memberOf(Kind: Kind, minBytes = 1) {
  const asked: Asked[] = [];
  const records = { count: 0 };
  const broker = {
    async fetch(request: Asked) {
      asked.push(request);
      const messages = Array.from({ length: records.count }, (_, offset) => ({ offset: String(offset) }));
      return { responses: [{ topicName: 't', partitions: [{ partition: 0, highWatermark: '0', messages }] }] };
    },
  };
  const cluster = { refreshMetadataIfNecessary: async () => {}, findTopicPartitionMetadata: () => [{ partitionId: 0, leader: 0 }], findBroker: async () => broker };
  const group = new Kind({ logger, cluster, groupId: 'g', topics: ['t'], minBytes, maxBytes: 1, maxBytesPerPartition: 1, maxWaitTimeInMs: 200, retry: {} });
  const offsetManager = { resolveOffsets: async () => {}, committedOffsets: () => ({ t: { 0: '0' } }), nextOffset: () => 0 };
  Object.assign(group, { offsetManager });
  group.subscriptionState.assign(partitions);
  const fetch = async (found = 0): Promise<Asked> => {
    records.count = found;
    await group.fetch('0');
    return asked.at(-1)!;
  };
  return { group, fetch };
}

describe('a consumer that is idle', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date'], now: startedAt }));
  afterEach(() => mock.timers.reset());

  test('of kafkajs by itself asks as often as one that is not', async () => {
    const { fetch } = memberOf(Original);
    mock.timers.tick(60_000);
    assert.equal((await fetch()).maxWaitTime, 200);
  });

  test('waits longer at the broker, until something comes', async () => {
    const { fetch } = memberOf(Resting);
    assert.equal((await fetch()).maxWaitTime, 200);
    mock.timers.tick(9_999);
    assert.equal((await fetch()).maxWaitTime, 200);
    mock.timers.tick(1);
    assert.equal((await fetch(3)).maxWaitTime, 1_000);
    assert.equal((await fetch()).maxWaitTime, 200, 'it had records');
    mock.timers.tick(10_000);
    assert.equal((await fetch()).maxWaitTime, 1_000);
  });

  test('does not let the first records that come gather', async () => {
    const { fetch } = memberOf(Resting, 1_000);
    assert.equal((await fetch()).minBytes, 1_000);
    mock.timers.tick(10_000);
    assert.equal((await fetch(1)).minBytes, 1);
    assert.equal((await fetch()).minBytes, 1_000);
  });

  test('waits as usual where a partition is paused: who resumes it waits for the end of the fetch', async () => {
    const { group, fetch } = memberOf(Resting);
    const two = [{ topic: 't', partitions: [0, 1] }];
    group.subscriptionState.assign(two);
    await fetch();
    mock.timers.tick(10_000);
    group.subscriptionState.pause([{ topic: 't', partitions: [1] }]);
    assert.equal((await fetch()).maxWaitTime, 200);
    group.subscriptionState.resume([{ topic: 't', partitions: [1] }]);
    assert.equal((await fetch()).maxWaitTime, 1_000);
  });
});
