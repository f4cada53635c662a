import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { LogConsumer, Position } from '../../connectors/ports.ts';
import { committer } from '../../processors/runtime/committer.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { PartitionQueue } from '../../processors/runtime/partition-queue.ts';
import { quiet } from '../support/pipeline.ts';

/** A consumer whose commits take effect when the test says so, and a queue whose low-water mark the test moves. */
function bench() {
  const queue = new PartitionQueue({ topic: 't', partition: 0 }, 1);
  const open: { readonly offset: number; takeEffect(): Promise<void> }[] = [];
  const effects: number[] = [];
  const consumer: LogConsumer = {
    pause() {},
    resume() {},
    close: async () => {},
    commit: (_generation, positions: readonly Position[]) =>
      new Promise<boolean>((resolve) => {
        const { offset } = positions[0]!;
        const takeEffect = () => (effects.push(offset), resolve(true), setImmediate());
        open.push({ offset, takeEffect });
      }),
  };
  const stopped = new AbortController();
  const commits = committer({
    clock: systemClock, intervalMs: 1, signal: stopped.signal, log: quiet, consumer: () => consumer, queues: () => [queue], generation: () => 1,
  });
  return { queue, open, effects, commits };
}

describe('the commits of a generation', () => {
  test('are one at a time; what comes meanwhile goes together in the next', async () => {
    const { queue, open, effects, commits } = bench();
    queue.fetched(5);
    void commits.now();
    queue.fetched(6);
    void commits.now();
    queue.fetched(7);
    const all = commits.now();
    await setImmediate();
    assert.deepEqual(open.map(({ offset }) => offset), [5]);
    await open[0]!.takeEffect();
    assert.deepEqual(open.map(({ offset }) => offset), [5, 7]);
    await open[1]!.takeEffect();
    await all;
    assert.deepEqual(effects, [5, 7]);
    assert.equal(queue.uncommitted(), null);
  });

  test('the last one waits for no other', async () => {
    const { queue, open, commits } = bench();
    queue.fetched(5);
    void commits.now();
    queue.fetched(9);
    void commits.last();
    assert.deepEqual(open.map(({ offset }) => offset), [5, 9]);
    queue.fetched(10);
    void commits.now();
    await open[0]!.takeEffect();
    assert.equal(open.length, 2, 'the last one is still under way');
    await open[1]!.takeEffect();
    assert.deepEqual(open.map(({ offset }) => offset), [5, 9, 10]);
  });

  test('a position that an older one put back after the last is put right', async () => {
    const { queue, open, effects, commits } = bench();
    queue.fetched(5);
    void commits.now();
    queue.fetched(9);
    const last = commits.last();
    await open[1]!.takeEffect();
    await open[0]!.takeEffect();
    await open[2]!.takeEffect();
    await last;
    assert.deepEqual(effects, [9, 5, 9]);
    assert.equal(queue.uncommitted(), null);
  });
});
