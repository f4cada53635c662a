import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryBlobs } from '../../connectors/blobs/memory.ts';
import { SaccadeError } from '../../connectors/errors.ts';
import type { OutgoingRecord } from '../../connectors/ports.ts';
import { emit, type Input, reject } from '../../processors/stage.ts';
import { caughtUp, eventually, type Item, itemOf, logWith, offer, passOn, pipelineOn, readAll, step } from '../support/pipeline.ts';

const refuseTooLarge = (records: readonly OutgoingRecord[], limit: number): void => {
  if (records.some(({ value }) => (value?.length ?? 0) > limit)) throw new SaccadeError('payload_too_large', 'for the broker');
};

describe('what is too large', () => {
  test('an output that the log refuses for good becomes a dead letter; its neighbours go on', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a', 'b', 'c'], 5);
    const real = await log.producer();
    const strict = { ...real, send: async (records: readonly OutgoingRecord[]) => (refuseTooLarge(records, 500), real.send(records)) };
    const process = async (batch: readonly Input<Item>[]) =>
      batch.map(({ value, key }) => emit({ output: 'out', key, value: value.source === 'b' && value.n === 2 ? { ...value, padding: 'x'.repeat(1000) } : value }));
    const pipeline = await pipelineOn(log, [step({ name: 's', process }, 'in', { out: 'out' })], { producer: strict });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.equal((await readAll(log, 'out')).length, 14);
    const letters = await readAll(log, 'in.dlq');
    assert.deepEqual(letters.map((l) => [itemOf(l), l.headers['saccade-error-code']]), [[{ source: 'b', n: 2 }, 'payload_too_large']]);
  });

  test('a dead letter larger than a record may be leaves its bytes as a claim check', async () => {
    const log = await logWith('in', 'out');
    const blobs = memoryBlobs();
    const producer = await log.producer();
    const value = Buffer.from(JSON.stringify({ source: 'a', n: 0, padding: 'x'.repeat(5000) }));
    await producer.send([{ topic: 'in', key: 'a', value }]);
    const limits = { inFlightBytes: 1e8, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1000, commitIntervalMs: 5 };
    const process = async () => [reject(new SaccadeError('undecodable_image'))];
    const pipeline = await pipelineOn(log, [step({ name: 's', process }, 'in', { out: 'out' })], { limits, blobs });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    const [letter] = await readAll(log, 'in.dlq');
    assert.equal(letter!.value, null);
    assert.deepEqual(await blobs.get(letter!.headers['saccade-claim']!), value);
  });

  test('while its bytes cannot be left, the record is tried again and yet accounted for once', async () => {
    const log = await logWith('in', 'out');
    const blobs = memoryBlobs();
    let refusals = 2;
    const put = async (name: string, bytes: Buffer) => {
      if (refusals > 0) throw new SaccadeError('blobs_unavailable', `${(refusals -= 1)} more`);
      return blobs.put(name, bytes);
    };
    const producer = await log.producer();
    await producer.send([{ topic: 'in', key: 'a', value: Buffer.from(JSON.stringify({ source: 'a', n: 7, padding: 'x'.repeat(5000) })) }]);
    const limits = { inFlightBytes: 1e8, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1000, commitIntervalMs: 5 };
    const stage = {
      name: 's',
      process: async () => [reject(new SaccadeError('undecodable_image'))],
      account: ({ key, value }: Input<Item>) => [{ output: 'out', key, value: { source: value.source, n: value.n } }],
    };
    const pipeline = await pipelineOn(log, [step(stage, 'in', { out: 'out' })], { limits, blobs: { put } });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.equal(refusals, 0);
    assert.deepEqual((await readAll(log, 'out')).map(itemOf), [{ source: 'a', n: 7 }]);
    assert.equal((await readAll(log, 'in.dlq')).length, 1);
  });

  test('without anywhere to leave them, the letter still says what the bytes were', async () => {
    const log = await logWith('in', 'out');
    const producer = await log.producer();
    await producer.send([{ topic: 'in', key: 'a', value: Buffer.alloc(5000, 32) }]);
    await offer(log, 'in', ['b'], 3);
    const real = await log.producer();
    const strict = { ...real, send: async (records: readonly OutgoingRecord[]) => (refuseTooLarge(records, 1000), real.send(records)) };
    const pipeline = await pipelineOn(log, [step({ name: 's', process: passOn('out') }, 'in', { out: 'out' })], { producer: strict });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    const [letter] = await readAll(log, 'in.dlq');
    assert.deepEqual([letter!.value, letter!.headers['saccade-bytes'], letter!.headers['saccade-error-code']], [null, '5000', 'undecodable_record']);
    assert.match(letter!.headers['saccade-sha256']!, /^[0-9a-f]{64}$/);
    assert.equal((await readAll(log, 'out')).length, 3);
  });
});

test('outputs that the log does not take are bounded in bytes too: a small input may become a large output', async () => {
  const log = await logWith('in', 'out');
  await offer(log, 'in', ['a', 'b', 'c'], 60);
  const real = await log.producer();
  let away = true;
  const deaf = {
    ...real,
    async send(records: readonly OutgoingRecord[]) {
      if (away) throw new SaccadeError('log_unavailable');
      await real.send(records);
    },
  };
  let made = 0;
  const padding = 'x'.repeat(20_000);
  const process = async (batch: readonly Input<Item>[]) => {
    made += batch.length;
    return batch.map(({ value, key }) => emit({ output: 'out', key, value: { ...value, padding } }));
  };
  const limits = { inFlightBytes: 200_000, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1e6, commitIntervalMs: 5 };
  const pipeline = await pipelineOn(log, [step({ name: 's', process, batch: { records: 2, bytes: 1e6, waitMs: 0, concurrency: 2 } }, 'in', { out: 'out' })], { limits, producer: deaf });
  await pipeline.start();
  await eventually(() => made >= 10, 'the limit to be reached');
  await sleep(150);
  assert.ok(made * 20_000 <= 200_000 + 4 * 20_000 + 40_000, `${made} outputs of 20 KB are held`);
  away = false;
  await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed', 40_000);
  await pipeline.stop(1000);
  assert.equal((await readAll(log, 'out')).length, 180);
});
