import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { type Choice, choosePolicy, type Measured, settled } from '../processors/infer/tuning.ts';

const measured = (...ms: number[]): Measured[] => ms.map((each, i) => ({ rows: 2 ** i, ms: each }));
const free: Choice = { maxBatch: null, delayMs: null, onCpu: false };
const chosen = (all: Measured[], set: Partial<Choice> = {}) => {
  const { rows, buckets, delayMs } = choosePolicy(all, { ...free, ...set });
  return { rows, buckets, delayMs };
};

describe('what is chosen from what was measured', () => {
  test('rows one by one, without a wait, where larger runs save nothing', () => {
    assert.deepEqual(chosen(measured(2.5, 2.5, 2.6, 2.7, 2.9)), { rows: 1, buckets: [1], delayMs: 0 });
    assert.deepEqual(chosen(measured(2.5, 2.3, 2.4)), { rows: 1, buckets: [1], delayMs: 0 }, 'less than the margin is noise');
  });

  test('a few rows together on a processor, where that costs nothing and is over soon', () => {
    const onCpu = { onCpu: true };
    assert.deepEqual(chosen(measured(2.5, 2.5, 2.6), onCpu), { rows: 4, buckets: [1, 2, 4], delayMs: 0 });
    assert.deepEqual(chosen(measured(2.5, 2.5, 2.6, 2.5, 2.5), onCpu), { rows: 4, buckets: [1, 2, 4], delayMs: 0 }, 'and no more than a few');
    assert.deepEqual(chosen(measured(6, 6, 6), onCpu), { rows: 2, buckets: [1, 2], delayMs: 0 }, 'whoever waits would wait for all of them');
    assert.deepEqual(chosen(measured(30, 29, 30), onCpu), { rows: 1, buckets: [1], delayMs: 0 });
    assert.deepEqual(chosen(measured(2.5, 2.9, 3), onCpu), { rows: 1, buckets: [1], delayMs: 0 }, 'together they are slower');
  });

  test('the smallest size that is close to the best, and a wait no longer than a row saves', () => {
    assert.deepEqual(chosen(measured(10, 6, 3, 1.5, 1.45)), { rows: 8, buckets: [1, 2, 4, 8], delayMs: 5 }, 'and no longer than 5 ms');
    assert.deepEqual(chosen(measured(4, 2, 1)), { rows: 4, buckets: [1, 2, 4], delayMs: 3 });
    assert.deepEqual(chosen(measured(4, 2, 1), { onCpu: true }), { rows: 4, buckets: [1, 2, 4], delayMs: 0 }, 'a processor does not wait');
    assert.deepEqual(chosen(measured(1, 0.6, 0.4, 0.3, 0.2)), { rows: 16, buckets: [1, 2, 4, 8, 16], delayMs: 0 });
  });

  test('is overridden by what is set', () => {
    assert.deepEqual(chosen(measured(2.5, 2.5, 2.5), { maxBatch: 6, delayMs: 4 }), { rows: 6, buckets: [1, 2, 4, 6], delayMs: 4 });
    assert.deepEqual(chosen(measured(10, 5), { maxBatch: 1, delayMs: null }), { rows: 1, buckets: [1], delayMs: 0 });
    assert.deepEqual(chosen(measured(10, 5), { maxBatch: null, delayMs: 0 }), { rows: 2, buckets: [1, 2], delayMs: 0 });
  });

  test('a graph that takes one row at a time has one size', () => assert.deepEqual(chosen(measured(3)), { rows: 1, buckets: [1], delayMs: 0 }));
});

describe('the search', () => {
  test('goes on while a size may still pay, and ends when two running saved nothing', () => {
    assert.equal(settled(measured(2.5)), false);
    assert.equal(settled(measured(2.5, 2.6)), false, 'one size may be a noisy neighbour');
    assert.equal(settled(measured(2.5, 2.6, 2.4)), true);
    assert.equal(settled(measured(2.5, 2.6, 1.2)), false);
    assert.equal(settled(measured(8, 4, 2, 1)), false);
  });
});
