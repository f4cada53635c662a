/** The reader of the overflow lane, apart from how frames get there (test/admission.test.ts). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log, WorkJournal } from '../connectors/ports.ts';
import { overflowStage } from '../processors/ingest/overflow.ts';
import type { Passage } from '../processors/ingest/passage.ts';
import type { Room } from '../processors/ingest/room.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import type { Pipeline, PipelineOptions } from '../processors/runtime/pipeline.ts';
import { type Stage, unguarded } from '../processors/stage.ts';
import { caughtUp, eventually, type Item, logWith, passOn, pipelineOn, step } from './support/pipeline.ts';

describe('the reader of the overflow lane', () => {
  const batch = { records: 4, bytes: 1e9, waitMs: 0, concurrency: 2 };
  const open: Room = { take: async (wanted) => wanted };
  const closed: Room = { take: async (_wanted, over) => (await eventually(over, 'the end'), 0) };
  const passedTo = (offset: number): Passage => ({ look: async () => {}, passed: (_partition, below) => below <= offset });

  /** One frame that follows 0@5 of ingest's topic, in a process of its own. */
  async function reading(stage: Stage<Item>, ways: { passage: Passage; room: Room }, more: Partial<PipelineOptions>): Promise<{ log: Log; stop(): Promise<void> } & Pick<Pipeline, 'stuck'>> {
    const log = await logWith('in', 'out');
    const producer = await log.producer();
    await producer.send([{ topic: 'in', key: 'a', value: Buffer.from('{"source":"a","n":0}'), headers: { 'saccade-after': '0@5' } }]);
    let closing = false;
    const lane = overflowStage(stage, { ...ways, passage: () => ways.passage, clock: systemClock, closing: () => closing });
    const pipeline = await pipelineOn(log, [step(lane, 'in', { out: 'out' })], more);
    await pipeline.start();
    return { log, stuck: pipeline.stuck, stop: async () => ((closing = true), await pipeline.stop(2_000)) };
  }

  test('what it has in native code is journalled under its own name, as in the usual lane', async () => {
    const written: string[] = [];
    const journal: WorkJournal = { write: (records) => void written.push(...records.map(({ stage, topic, offset }) => `${stage} ${topic}@${offset}`)), deaths: () => [], clear() {}, close() {} };
    const stage: Stage<Item> = { name: 'preprocess', batch, process: (inputs, _signal, guard = unguarded) => guard(inputs, () => passOn('out')(inputs)) };
    const { log, stop } = await reading(stage, { passage: passedTo(5), room: open }, { journal });
    await eventually(() => caughtUp(log, 'g.preprocess.overflow', 'in'), 'it is through');
    await stop();
    assert.deepEqual(written, ['preprocess.overflow in@0']);
  });

  const ways = [
    ['the usual lane', { passage: passedTo(4), room: open }],
    ['room behind', { passage: passedTo(5), room: closed }],
  ] as const;
  for (const [what, way] of ways) {
    test(`waiting for ${what} is no standstill, however long it lasts`, async () => {
      const limits = { inFlightBytes: 1e8, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1e6, commitIntervalMs: 5, stuckAfterMs: 300 };
      const { log, stuck, stop } = await reading({ name: 'preprocess', batch, process: passOn('out') }, way, { limits });
      let said = {};
      for (const until = Date.now() + 1_500; Date.now() < until && Object.keys(said).length === 0; ) {
        await sleep(20);
        said = stuck();
      }
      assert.equal(await caughtUp(log, 'g.preprocess.overflow', 'in'), false, 'it does wait');
      await stop();
      assert.deepEqual(said, {});
    });
  }
});
