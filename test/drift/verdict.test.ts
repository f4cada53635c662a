import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as otherWork } from 'node:timers/promises';
import type { SaccadeError } from '../../connectors/errors.ts';
import type { Block } from '../../processors/drift/blocks.ts';
import { joinBlocks, normalOf, packReference, partAt, type Reference, unpackReference } from '../../processors/drift/reference.ts';
import { type Judgement, judge } from '../../processors/drift/verdict.ts';
import { add, type ClosedWindow, noWindows } from '../../processors/drift/windows.ts';
import { noon, stream, usual, type World } from '../support/drift.ts';

const alpha = 0.001;
const windowsOf = (options: Parameters<typeof stream>[0]): ClosedWindow[] => {
  const windows = noWindows();
  return stream(options).flatMap((frame) => add(windows, frame)).filter(({ span }) => span === '5m');
};
const hours = (n: number): number => n * 3600 * 4;

describe('a window beside its reference', () => {
  const blocks: Block[] = windowsOf({ seed: 20, frames: hours(6) }).flatMap((window) => [...window.blocks]);
  const normal = normalOf(() => blocks);
  const judged = (world: Partial<World>, seed = 30, n = 0.3): Promise<Judgement[]> => Promise.all(windowsOf({ seed, frames: hours(n), world: { ...usual, ...world } }).map((window) => judge(window, normal, alpha, 'all')));
  const moved = (judgement: Judgement): string[] => judgement.features.filter((feature) => feature.moved).map(({ name }) => name);

  test('of the same world is stable', async () => {
    const windows = [...(await judged({}, 30, 0.6)), ...(await judged({}, 31, 0.6)), ...(await judged({}, 32, 0.6))];
    assert.ok(windows.length >= 18);
    assert.ok(windows.filter((window) => moved(window).length > 0).length <= 1, JSON.stringify(windows.map(moved)));
  });

  test('has an entry for all that can be compared, with shares, means and a p-value', async () => {
    const [{ features }] = (await judged({})) as [Judgement];
    const names = new Set(features.map(({ name }) => name));
    for (const name of ['luma', 'contrast', 'sharpness', 'size', 'unreadable', 'confidence', 'detections', 'empty', 'box_area', 'box_x', 'box_y', 'class_mix', 'new_class', 'embedding_mean', 'embedding_mmd']) assert.ok(names.has(name), name);
    for (const { name, p, q, value, now, reference, edges } of features) {
      assert.ok(p! > 0 && p! <= 1 && q! >= p! && Number.isFinite(value), name);
      for (const shares of [now, reference]) if (edges.length > 0) assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9, name);
    }
  });

  const shifts: [string, Partial<World>, string, RegExp][] = [
    ['dark', { luma: 70 }, 'luma', /pictures are darker \(luma 7\d instead of 1[12]\d\)/i],
    ['blurred', { sharpness: 200 }, 'sharpness', /pictures are blurred/i],
    ['full of cats', { cats: 0.7 }, 'class_mix', /'(cat|person)' is \d+ % of what is seen instead of \d+ %/i],
    ['doubtful', { score: 0.5 }, 'confidence', /the model is less sure/i],
    ['crowded', { boxes: 6 }, 'detections', /more is found in a frame/i],
    ['deserted', { boxes: -3 }, 'empty', /more frames have nothing in them/i],
    ['looking otherwise', { look: 0.6 }, 'embedding_mean', /to the model the pictures look different/i],
  ];
  for (const [what, world, feature, sentence] of shifts) {
    test(`of a world that is ${what} has moved in ${feature}, and says so`, async () => {
      const windows = await judged(world);
      assert.ok(windows.length >= 3);
      for (const window of windows) {
        assert.ok(moved(window).includes(feature), `${moved(window).join()}`);
        assert.ok(window.sentence!.length > 10 && window.examples.length > 0);
      }
      assert.ok(windows.some((window) => sentence.test(window.sentence!)), windows[0]!.sentence!);
    });
  }

  test('names frames that show it: of a dark world the darkest', async () => {
    const frames = stream({ seed: 40, frames: 1400, world: { ...usual, luma: 60 } });
    const windows = noWindows();
    const [window] = frames.flatMap((frame) => add(windows, frame));
    const darkest = frames.slice(0, 1200).reduce((a, b) => (b.quality!.luma < a.quality!.luma ? b : a));
    assert.ok((await judge(window!, normal, alpha, 'all')).examples.includes(darkest.frame_id));
  });

  /** Every so many frames a fox, which nobody has ever seen there. */
  const foxes = (every: number): ClosedWindow => {
    const windows = noWindows();
    const fox = { class_id: 2, label: 'fox', score: 0.8, x1: 10, y1: 10, x2: 40, y2: 40 };
    return stream({ seed: 42, frames: 1400 }).map((frame, i) => (i % every === 0 ? { ...frame, detections: [...frame.detections, fox] } : frame)).flatMap((frame) => add(windows, frame))[0]!;
  };

  test('with a class that was never there has moved in that, however little it is of all that is seen', async () => {
    const window = foxes(8);
    const judgement = await judge(window, normal, alpha, 'all');
    assert.ok(moved(judgement).includes('new_class'));
    assert.match(judgement.sentence!, /'fox' is new: 13 of it in 100 frames, and never before/);
    const { labels, now, reference, value } = judgement.features.find(({ name }) => name === 'new_class')!;
    assert.deepEqual([labels, now, reference, value], [['fox'], [0.125], [0], 0.125]);
    assert.ok(judgement.examples.includes(window.examples.classes.fox!));
  });

  test('with a class that was never there and is hardly there now, as mistakes are, has not', async () => {
    assert.deepEqual(moved(await judge(foxes(50), normal, alpha, 'all')), []);
  });

  test('of another version of the model is compared by its pictures alone', async () => {
    const [window] = windowsOf({ seed: 41, frames: hours(0.2), world: { ...usual, cats: 0.9, luma: 60 } });
    const { features, sentence } = await judge(window!, normal, alpha, 'input');
    assert.ok(features.every(({ group }) => group === 'input'));
    assert.match(sentence!, /darker/);
  });

  test('is judged by what chance does to windows of its length: a shorter run varies more', async () => {
    const [short, long] = [await normal.tails(120, 30_000), await normal.tails(2400, 600_000)].map((tails) => tails.get('luma')!.value.threshold);
    assert.ok(short! > long!, `${short}, ${long}`);
  });

  test('gives the thread up while it works out what chance does, and does so once', async () => {
    const fresh = normalOf(() => blocks);
    const turnsWhile = async (work: Promise<unknown>): Promise<number> => {
      let [turns, done] = [0, false];
      void work.then(() => (done = true));
      for (; !done; turns++) await otherWork();
      return turns;
    };
    const first = await turnsWhile(fresh.tails(14_400, 3_600_000));
    assert.ok(first >= blocks.length / 50, `${first} turns while ${blocks.length} runs were compared`);
    assert.ok((await turnsWhile(fresh.tails(14_390, 3_600_000))) <= 2, 'an hour of much the same length is like the one before');
    const domain = await turnsWhile(fresh.domain!.tail(10));
    assert.ok(domain >= 20, `${domain} turns while a classifier learnt of the runs`);
  });
});

describe('a reference', () => {
  const reference: Reference = {
    version: '1', madeAt: noon, from: noon, to: noon, of: 'gate',
    parts: [{ name: 'day', from: 7 * 60, to: 19 * 60, blocks: [] }, { name: 'night', from: 19 * 60, to: 7 * 60, blocks: [] }],
  };

  test('has a part for the time of day, also over midnight', () => {
    const at = (hour: number): string | undefined => partAt(reference, Date.UTC(2026, 0, 5, hour))?.name;
    assert.deepEqual([0, 6, 7, 12, 18, 19, 23].map(at), ['night', 'night', 'day', 'day', 'day', 'night', 'night']);
    assert.equal(partAt({ ...reference, parts: [reference.parts[0]!] }, Date.UTC(2026, 0, 5, 3)), null);
    assert.equal(partAt({ ...reference, parts: [{ name: 'all', from: 0, to: 0, blocks: [] }] }, noon)!.name, 'all');
  });

  test('comes back as it was; nonsense is named', () => {
    assert.deepEqual(unpackReference(packReference(reference)), reference);
    assert.throws(() => unpackReference(Buffer.from('x')), (error: SaccadeError) => error.code === 'undecodable_record');
  });

  test('joins neighbours when there are too many blocks', () => {
    const blocks = windowsOf({ seed: 50, frames: hours(1), embeddings: false }).flatMap((window) => [...window.blocks]);
    const joined = joinBlocks(blocks, 50);
    assert.ok(joined.length <= 50);
    assert.equal(joined.reduce((sum, { frames }) => sum + frames, 0), blocks.reduce((sum, { frames }) => sum + frames, 0));
    assert.deepEqual(joinBlocks(blocks, 1000), blocks);
  });
});
