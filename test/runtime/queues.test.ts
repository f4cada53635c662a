import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backoff } from '../../processors/runtime/backoff.ts';
import { batchQueue } from '../../processors/runtime/batch-queue.ts';
import { byteBudget } from '../../processors/runtime/byte-budget.ts';
import { PartitionQueue } from '../../processors/runtime/partition-queue.ts';

const policy = { records: 3, bytes: 100, waitMs: 50, concurrency: 1 };
const work = (bytes: number, queuedAt = 0) => ({ bytes, queuedAt });
const record = (offset: number) => ({ topic: 't', partition: 0, offset, timestamp: 0, key: null, value: null, headers: {} });

describe('batch queue', () => {
  test('a full batch is due at once, a smaller one when its oldest has waited', () => {
    const queue = batchQueue(policy);
    queue.push(work(1));
    assert.equal(queue.dueIn(10), 40);
    assert.deepEqual(queue.take(10), []);
    assert.equal(queue.take(50).length, 1);
    for (let i = 0; i < 4; i++) queue.push(work(1, 60));
    assert.equal(queue.dueIn(60), 0);
    assert.equal(queue.take(60).length, 3);
    assert.equal(queue.dueIn(60), 50);
  });

  test('one that nothing joins any more does not wait on', () => {
    const queue = batchQueue({ ...policy, quietMs: 20 });
    queue.push(work(1));
    assert.equal(queue.dueIn(5), 15);
    queue.push(work(1, 15));
    assert.equal(queue.dueIn(20), 15, 'one has joined');
    assert.deepEqual(queue.take(34), []);
    assert.equal(queue.take(35).length, 2);
    queue.push(work(1, 100));
    queue.push(work(1, 140));
    assert.equal(queue.dueIn(140), 10, 'no longer than the oldest may wait');
  });

  test('bytes bound a batch, but one record always goes', () => {
    const queue = batchQueue(policy);
    for (const bytes of [70, 70, 500]) queue.push(work(bytes));
    assert.deepEqual(queue.take(0).map((w) => w.bytes), [70]);
    assert.deepEqual(queue.take(0).map((w) => w.bytes), [70]);
    assert.deepEqual(queue.take(0).map((w) => w.bytes), [500]);
    assert.equal(queue.dueIn(0), null);
  });

  test('work put back goes before newer work, in its order', () => {
    const queue = batchQueue({ ...policy, records: 10, waitMs: 0 });
    queue.push(work(3));
    queue.putBack([work(1), work(2)]);
    assert.deepEqual(queue.take(0).map((w) => w.bytes), [1, 2, 3]);
  });

  test('discarded work no longer counts towards a full batch', () => {
    const queue = batchQueue(policy);
    for (const bytes of [60, 60]) queue.push(work(bytes));
    assert.equal(queue.discard((w) => w.bytes === 60).length, 2);
    queue.push(work(1));
    assert.equal(queue.dueIn(0), 50);
  });
});

describe('partition queue', () => {
  test('the low-water mark waits for the earliest record, whatever finished after it', () => {
    const queue = new PartitionQueue({ topic: 't', partition: 0 }, 1);
    const [first, second, third] = [5, 6, 9].map((offset) => queue.add(record(offset), 1));
    second!.open = 0;
    third!.open = 0;
    assert.deepEqual(queue.takeComplete(100), []);
    assert.equal(queue.uncommitted(), null);
    first!.open = 0;
    assert.deepEqual(queue.takeComplete(100), [first, second, third]);
    assert.equal(queue.uncommitted(), null, 'nothing may be committed before the outputs are acknowledged');
    queue.sent();
    assert.equal(queue.uncommitted(), 10);
    queue.committed(10);
    assert.equal(queue.uncommitted(), null);
  });

  test('one sending at a time keeps the order', () => {
    const queue = new PartitionQueue({ topic: 't', partition: 0 }, 1);
    queue.add(record(0), 1).open = 0;
    assert.equal(queue.takeComplete(100).length, 1);
    queue.add(record(1), 1).open = 0;
    assert.deepEqual(queue.takeComplete(100), []);
    assert.equal(queue.hasComplete(), false);
    queue.sent();
    assert.equal(queue.hasComplete(), true);
    assert.equal(queue.takeComplete(100).length, 1);
  });

  test('what is set apart leaves before anything later does, also where more is set apart before it has left', () => {
    const queue = new PartitionQueue({ topic: 't', partition: 0 }, 1);
    queue.setApart();
    const entries = [0, 1, 2, 3, 4].map((offset) => {
      const entry = queue.add(record(offset), 1);
      if (offset === 1 || offset === 3) queue.setApart();
      return entry;
    });
    for (const entry of entries) entry.open = 0;
    const sendings = [1, 2, 3].map(() => {
      const taken = queue.takeComplete(100).map((entry) => entry.record.offset);
      queue.sent();
      return taken;
    });
    assert.deepEqual(sendings, [[0, 1], [2, 3], [4]]);
  });

  test('outputs of one sending stay under the bytes asked for, with one entry at least', () => {
    const queue = new PartitionQueue({ topic: 't', partition: 0 }, 1);
    for (let offset = 0; offset < 3; offset++) {
      const entry = queue.add(record(offset), 1);
      entry.outputs.push({ topic: 'o', key: null, value: Buffer.alloc(60) });
      entry.open = 0;
    }
    assert.equal(queue.takeComplete(100).length, 1);
  });
});

test('the byte budget pauses above its limit and resumes only below half of it', () => {
  const changes: boolean[] = [];
  const budget = byteBudget(100, (exhausted) => changes.push(exhausted));
  budget.take(100);
  assert.deepEqual(changes, []);
  budget.take(1);
  budget.give(30);
  assert.deepEqual(changes, [true]);
  budget.give(21);
  assert.deepEqual(changes, [true, false]);
});

test('backoff grows to its limit, never to a hot loop', () => {
  const waits = backoff(100, 1000, () => 0);
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => waits.next()), [50, 100, 200, 400, 500, 500]);
  waits.reset();
  assert.equal(waits.next(), 50);
});
