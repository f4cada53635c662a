/** Which edge holds which partition of replies, judged by what the edges themselves are given. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import { memoryLog } from '../connectors/memory/log.ts';
import type { Clock, Log } from '../connectors/ports.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { leaseMs, leasePartition, type ReplyLease, renewEveryMs } from '../processors/edge/reply-lease.ts';
import { replyDesk } from '../processors/edge/reply-desk.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { followTable } from '../processors/runtime/control-table.ts';
import { leasesTopic, topicSpecs } from '../schemas/topics.ts';
import { needsKafka } from './support/components.ts';
import { testKafkaLog, testTopic, uniqueName } from './support/kafka.ts';
import { quiet } from './support/pipeline.ts';

/** The tables' own waiting is real; what the leases take for the time is the test's. */
function steered(): { clock: Clock; pass(ms: number): void } {
  let skew = 0;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  const now = (): number => Date.now() + skew;
  return {
    clock: {
      now,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          const one = { at: now() + ms, wake: () => (sleepers.delete(one), resolve()) };
          sleepers.add(one);
          signal?.addEventListener('abort', one.wake, { once: true });
          if (signal?.aborted) one.wake();
        }),
    },
    pass(ms) {
      skew += ms;
      for (const one of sleepers) if (one.at <= now()) one.wake();
    },
  };
}

async function logs(): Promise<Log> {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs([], { partitions: 4, replication: 1, minInSync: 1, maxRecordBytes: 1_000_000 }));
  return log;
}

/** Renewing goes on until it is released: a test that forgets one would never end. */
const held: ReplyLease[] = [];

const leaser = (log: Log, topic: string, clock: Clock, partitions: number) => async (holder: string = randomUUID()): Promise<ReplyLease> => {
  const lease = await leasePartition({ partitions, holder, clock, open: async () => followTable({ log, producer: await log.producer(), clock: systemClock, topic }) });
  held.push(lease);
  return lease;
};

describe('leases of reply partitions', () => {
  afterEach(() => Promise.all(held.splice(0).map((lease) => lease.release())));

  test('as many edges as partitions, started at once: each has its own; one more shares; one that leaves makes room at once', async () => {
    const { clock } = steered();
    const lease = leaser(await logs(), leasesTopic, clock, 4);
    const all = await Promise.all(Array.from({ length: 4 }, () => lease()));
    assert.deepEqual(all.map(({ partition }) => partition).toSorted(), [0, 1, 2, 3]);
    assert.deepEqual(all.map(({ sharedWith }) => sharedWith), [0, 0, 0, 0]);
    const fifth = await lease();
    assert.equal(fifth.sharedWith, 1);
    await fifth.release();
    await all[2]!.release();
    const next = await lease();
    assert.deepEqual([next.partition, next.sharedWith], [all[2]!.partition, 0]);
  });

  test('names that begin alike choose apart', async () => {
    const { clock } = steered();
    const lease = leaser(await logs(), leasesTopic, clock, 4);
    const all = await Promise.all(['00000000-a', '00000000-b', '00000000-c'].map(lease));
    assert.equal(new Set(all.map(({ partition }) => partition)).size, 3);
  });

  test('a lease is kept by renewing it, and lapses when its edge has died', async () => {
    const { clock, pass } = steered();
    const log = await logs();
    const lease = leaser(log, leasesTopic, clock, 1);
    const first = await lease();
    for (let i = 0; i < 10; i++) {
      pass(renewEveryMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const second = await lease();
    assert.equal(second.sharedWith, 1, 'the first is alive');
    await second.release();
    await first.release();
    // As one that is killed leaves it: claimed, and never renewed.
    const table = await followTable({ log, producer: await log.producer(), clock: systemClock, topic: leasesTopic });
    await table.put('dead', Buffer.from(JSON.stringify({ partition: 0, since: clock.now(), at: clock.now() })));
    const beside = await lease();
    assert.equal(beside.sharedWith, 1);
    await beside.release();
    pass(leaseMs);
    const alone = await lease();
    assert.equal(alone.sharedWith, 0);
    await alone.release();
    pass(600_000);
    await lease();
    await table.caughtUp();
    assert.equal(table.get('dead'), null, 'cleared away in the end');
    await table.close();
  });

  test('nonsense in the table stops nobody', async () => {
    const { clock } = steered();
    const log = await logs();
    const producer = await log.producer();
    for (const value of ['{', '{"partition":"x"}', 'null', '[]']) await producer.send([{ topic: leasesTopic, key: `odd ${value}`, value: Buffer.from(value), partition: 0 }]);
    assert.equal((await leaser(log, leasesTopic, clock, 1)()).sharedWith, 0);
  });

  test('on Kafka, two desks of two partitions each get their own answers and no other', { skip: needsKafka }, async () => {
    const log = testKafkaLog();
    const leases = uniqueName('leases');
    await log.ensureTopics([testTopic({ name: leases, partitions: 1, compacted: true })]);
    const lease = leaser(log, leases, systemClock, 2);
    const both = await Promise.all([lease(), lease()]);
    assert.deepEqual(both.map(({ partition }) => partition).toSorted(), [0, 1]);
    await Promise.all(held.splice(0).map((one) => one.release()));
    await log.close();
  });

  test('a desk with leases gives its lease up when it closes', async () => {
    const log = await logs();
    const registry = fileRegistry();
    const producer = await log.producer();
    const desk = replyDesk({ log, producer, registry, clock: systemClock, logger: quiet, leases: () => followTable({ log, producer, clock: systemClock, topic: leasesTopic }) });
    await desk.open();
    const { replyTo, cancel } = desk.expect(Date.now() + 1000);
    cancel();
    const other = await leaser(log, leasesTopic, systemClock, 4)();
    assert.notEqual(other.partition, replyTo.partition);
    await other.release();
    await desk.close(10);
    const table = await followTable({ log, producer, clock: systemClock, topic: leasesTopic });
    assert.equal(table.entries().size, 0);
    await table.close();
  });
});
