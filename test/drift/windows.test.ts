import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { unpackBlocks, packBlocks } from '../../processors/drift/blocks.ts';
import type { SaccadeError } from '../../connectors/errors.ts';
import { merge, merged } from '../../processors/drift/sketch.ts';
import { add, type ClosedWindow, leastFrames, noWindows, windowMs } from '../../processors/drift/windows.ts';
import type { Prediction } from '../../schemas/records.ts';
import { noon, stream } from '../support/drift.ts';

const minute = 60_000;
const told = ({ span, start, end, total, late }: ClosedWindow) => ({ span, from: (start - noon) / minute, to: (end - noon) / minute, frames: total.frames, late });
const run = (frames: readonly Prediction[], windows = noWindows()): ClosedWindow[] => frames.flatMap((frame) => add(windows, frame));
const fives = (closed: readonly ClosedWindow[]) => closed.filter(({ span }) => span === '5m').map(told);

describe('windows of a stream', () => {
  test('are five minutes of event time, closed half a minute after their end by the stream’s own clock', () => {
    const frames = stream({ seed: 1, frames: 4 * 60 * 16, fps: 4 });
    const windows = noWindows();
    const closedAt = frames.flatMap((frame) => add(windows, frame).map((window) => ({ ...told(window), at: (frame.captured_at - noon) / minute })));
    assert.deepEqual(closedAt, [0, 5, 10].map((from) => ({ span: '5m', from, to: from + 5, frames: 1200, late: 0, at: from + 5.5 })));
  });

  test('are summed up to hours and days, to the last frame', () => {
    const frames = stream({ seed: 2, from: Date.UTC(2026, 0, 5), frames: 2 * 3600 * 25, fps: 2, embeddings: false });
    const closed = run(frames);
    const count = (span: string): number[] => closed.filter((window) => window.span === span).map(({ total }) => total.frames);
    assert.deepEqual(count('1h'), Array.from({ length: 24 }, () => 7200));
    assert.deepEqual(count('24h'), [172_800]);
    const day = closed.find(({ span }) => span === '24h')!;
    const parts = merged(closed.filter(({ span, end }) => span === '5m' && end <= day.end).map(({ total }) => total));
    assert.deepEqual(day.total.numeric.luma!.counts, parts.numeric.luma!.counts);
    assert.deepEqual(day.total.classes, parts.classes);
  });

  test('take frames in any order for half a minute; later ones count in the hour alone, and are told of', () => {
    const frames = stream({ seed: 3, frames: 4 * 60 * 62, fps: 4 });
    const shuffled = [...frames];
    // Twenty seconds late, across the end of a window.
    const moved = shuffled.splice(4 * 60 * 5 - 40, 40);
    shuffled.splice(4 * 60 * 5 + 20, 0, ...moved);
    // Ten minutes late.
    const late = shuffled.splice(100, 7);
    shuffled.splice(4 * 60 * 10, 0, ...late);
    const closed = run(shuffled);
    const [first, second, third] = fives(closed);
    assert.deepEqual([first!.frames, second!.frames, third!.frames], [1193, 1200, 1200]);
    assert.deepEqual([first!.late, second!.late, third!.late], [0, 7, 0]);
    assert.deepEqual(closed.filter(({ span }) => span === '1h').map(told), [{ span: '1h', from: 0, to: 60, frames: 14_400, late: 7 }]);
  });

  test(`grow until they hold ${leastFrames} frames, and end on the full five minutes`, () => {
    const closed = fives(run(stream({ seed: 4, frames: 1830, fps: 0.5, embeddings: false })));
    assert.deepEqual(closed, [0, 20, 40].map((from) => ({ span: '5m', from, to: from + 20, frames: 600, late: 0 })));
  });

  test('do not grow for ever: of a stream that is all but dead a day is told', () => {
    const [first] = fives(run(stream({ seed: 5, frames: 60, fps: 1 / 1800, embeddings: false })));
    assert.deepEqual(first, { span: '5m', from: 0, to: 24 * 60, frames: 48, late: 0 });
  });

  test('a pause leaves no windows without frames, and what was before it is told when the stream goes on', () => {
    const before = stream({ seed: 6, frames: 1200, fps: 4 });
    const after = stream({ seed: 7, from: noon + 120 * minute, frames: 1400, fps: 4 });
    const closed = fives(run([...before, ...after]));
    assert.deepEqual(closed.map(({ from, frames }) => [from, frames]), [[0, 1200], [120, 1200]]);
  });

  test('a clock that runs ahead closes nothing before its time', () => {
    const frames = stream({ seed: 8, frames: 100, fps: 4 });
    const ahead = { ...frames[50]!, captured_at: noon + 10 * 365 * 86_400_000 };
    const windows = noWindows();
    assert.deepEqual(run([...frames.slice(0, 50), ahead, ...frames.slice(51)], windows), []);
    assert.equal(windows.open.length, 1);
  });

  test('one clock set back to 1970 loses nothing but the place of its frames', () => {
    const frames = stream({ seed: 9, frames: 4 * 60 * 11, fps: 4 });
    const closed = fives(run(frames.map((frame, i) => (i > 0 && i % 500 === 0 ? { ...frame, captured_at: 0 } : frame))));
    assert.ok(closed.filter(({ from }) => from >= 0).length >= 1);
  });
});

describe('blocks', () => {
  const windows = noWindows();
  const [window] = run(stream({ seed: 10, frames: 1400 }), windows);

  test('are stretches of half a minute, of fifty frames at least, and add up to their window', () => {
    assert.deepEqual(window!.blocks.map(({ frames }) => frames), Array.from({ length: 10 }, () => 120));
    assert.deepEqual(merged(window!.blocks), window!.total);
    const slow = run(stream({ seed: 11, frames: 2000, fps: 1 / 2 }))[0]!;
    assert.ok(slow.blocks.every(({ frames }, i) => frames >= 50 || i === slow.blocks.length - 1));
  });

  test('come back from their few kilobytes as they were', () => {
    const bytes = packBlocks(window!.blocks);
    assert.ok(bytes.length < 20_000, `${bytes.length} bytes`);
    assert.deepEqual(unpackBlocks(bytes), window!.blocks);
    assert.throws(() => unpackBlocks(Buffer.from('nonsense')), (error: SaccadeError) => error.code === 'undecodable_record');
  });

  test('taken away again leave what was there before', () => {
    const all = merged(window!.blocks);
    merge(all, window!.blocks[3]!, -1);
    const others = merged(window!.blocks.filter((_, i) => i !== 3));
    assert.deepEqual(all.numeric.luma!.counts, others.numeric.luma!.counts);
    assert.equal(all.frames, others.frames);
  });

  test('the window is five minutes', () => assert.equal(windowMs, 300_000));
});
