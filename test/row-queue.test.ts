import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { rowQueue, urgentTurns, type Waiting } from '../processors/infer/row-queue.ts';

interface Numbered extends Waiting {
  readonly id: number;
}
const waiting = (model: string, id: number, about: Partial<Waiting> = {}): Numbered => ({ model, id, source: 'cam', urgent: false, alone: false, pixels: new Uint8Array(10), ...about });
const ids = (rows: readonly Numbered[]): number[] => rows.map(({ id }) => id);
const queueOf = (...rows: Numbered[]) => {
  const queue = rowQueue<Numbered>();
  for (const row of rows) queue.push(row);
  return queue;
};

describe('rows that wait', () => {
  test('are taken by model, in turn, in order', () => {
    const queue = queueOf(waiting('slow', 1), waiting('slow', 2), waiting('slow', 3), waiting('quick', 4), waiting('quick', 5));
    assert.deepEqual([queue.bytes, queue.size], [50, 5]);
    assert.deepEqual([2, 1, 2, 2, 2].map((most) => ids(queue.take(most))), [[1, 2], [4], [3], [5], []]);
    assert.deepEqual([queue.bytes, queue.size], [0, 0]);
  });

  test('go alone when they must, without losing their place', () => {
    const queue = queueOf(waiting('m', 1), waiting('m', 2, { alone: true }), waiting('m', 3), waiting('m', 4));
    assert.deepEqual([9, 9, 9, 9].map((most) => ids(queue.take(most))), [[1], [2], [3, 4], []]);
  });

  test('can be taken out', () => {
    const queue = queueOf(waiting('m', 1), waiting('m', 2), waiting('n', 3, { urgent: true }));
    assert.deepEqual(ids(queue.remove(({ id }) => id !== 2)), [1, 3]);
    assert.equal(queue.bytes, 10);
    assert.deepEqual(ids(queue.take(9)), [2]);
    assert.equal(queue.waiting(), null);
  });

  test('are drawn from the sources in turn: one that floods has its own place in the line', () => {
    const flood = Array.from({ length: 50 }, (_, i) => waiting('m', i, { source: 'flood' }));
    const queue = queueOf(...flood, waiting('m', 100, { source: 'a' }), waiting('m', 101, { source: 'b' }), waiting('m', 102, { source: 'a' }));
    assert.deepEqual(ids(queue.take(4)), [0, 100, 101, 1]);
    assert.deepEqual(ids(queue.take(3)), [102, 2, 3]);
  });

  test('that somebody waits for go first, also before another model\'s, and take turns among themselves', () => {
    const queue = queueOf(
      waiting('video', 1), waiting('m', 2), waiting('m', 3, { source: 'http', urgent: true }), waiting('m', 4, { source: 'app', urgent: true }),
      waiting('m', 5, { source: 'http', urgent: true }),
    );
    assert.deepEqual(queue.waiting(), { model: 'm', rows: 4, urgent: true });
    assert.deepEqual(queueOf(waiting('m', 1)).waiting(), { model: 'm', rows: 1, urgent: false });
    assert.deepEqual([2, 2, 2, 2].map((most) => ids(queue.take(most))), [[3, 4], [5, 2], [1], []]);
  });

  test('that nobody waits for have one turn in so many, whatever is urgent: each model and each of its sources in its turn', () => {
    const cameras = [['video', 'a'], ['video', 'b'], ['faces', 'a'], ['m', 'a']] as const;
    const queue = rowQueue<Waiting & { readonly id: string }>();
    const push = (model: string, source: string, urgent: boolean) => queue.push({ ...waiting(model, 0, { source, urgent }), id: `${model} ${source} ${urgent}` });
    for (const [model, source] of cameras) for (let i = 0; i < 100; i++) push(model, source, false);
    const turnsOf = new Map<string, number[]>();
    let urgent = 0;
    const turns = 60 * (urgentTurns + 1);
    for (let turn = 0; turn < turns; turn++) {
      // More than is taken comes for two models at a time, as from clients who ask again at once.
      for (const model of ['m', 'n']) push(model, 'http', true);
      for (const row of queue.take(1)) {
        if (row.urgent) urgent += 1;
        else turnsOf.set(row.id, [...(turnsOf.get(row.id) ?? []), turn]);
      }
    }
    assert.equal(urgent, turns - 60, 'and no more than that');
    // Three models in turn, of which one has two sources that take turns at its turns.
    for (const [model, source] of cameras) {
      const had = turnsOf.get(`${model} ${source} false`)!;
      const most = (urgentTurns + 1) * 3 * (model === 'video' ? 2 : 1);
      const gaps = had.map((turn, i) => turn - (had[i - 1] ?? -1));
      assert.ok(Math.max(...gaps, turns - had.at(-1)!) <= most, `${model} ${source} waited ${gaps} turns, not ${most} at most`);
    }
  });

  test('that come when nobody was passed over do not go before those that somebody waits for', () => {
    const queue = queueOf();
    for (let i = 0; i < 3 * urgentTurns; i++) {
      queue.push(waiting('m', i, { urgent: true }));
      assert.deepEqual(ids(queue.take(1)), [i]);
    }
    queue.push(waiting('video', 100));
    queue.push(waiting('m', 101, { urgent: true }));
    assert.deepEqual(ids(queue.take(1)), [101]);
    assert.deepEqual(ids(queue.take(1)), [100]);
  });
});
