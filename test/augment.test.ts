/** Renderings to train and calibrate on: what is shown, where, and where its boxes are. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { augmented } from '../processors/preprocess/augment.ts';
import type { Bitmap } from '../processors/preprocess/decode.ts';
import { cutTensor } from '../processors/preprocess/tensor.ts';
import { seededRandom } from './simulation/world/random.ts';

const [width, height] = [50, 40];
/** Every pixel says where it was. */
const chart: Bitmap = {
  width,
  height,
  original: { width, height },
  pixels: Buffer.from(Uint8Array.from({ length: width * height * 3 }, (_, i) => [Math.floor(i / 3) % width, Math.floor(i / 3 / width), 7][i % 3]!)),
};
const all = { class_id: 3, x1: 0, y1: 0, x2: width, y2: height };

/** Answers these numbers in turn: length and place across, length and place down, and whether mirrored. */
const told = (...numbers: number[]): (() => number) => () => numbers.shift()!;
const pixel = ({ pixels, width: row }: Bitmap, x: number, y: number): number[] => [...pixels.subarray((y * row + x) * 3, (y * row + x) * 3 + 3)];

describe('a rendering', () => {
  test('is a part of the picture as it was', () => {
    // Of 50: 0.6 + 0.5 x 0.4 = 40, from 5 of 10; of 40: 24, from 16.
    const { bitmap } = augmented(chart, told(0.5, 0.5, 0, 0.99, 0.5));
    assert.deepEqual([bitmap.width, bitmap.height, bitmap.original], [40, 24, { width: 40, height: 24 }]);
    assert.deepEqual([pixel(bitmap, 0, 0), pixel(bitmap, 39, 23)], [[5, 16, 7], [44, 39, 7]]);
  });

  test('or of its mirror image, colour for colour', () => {
    const { bitmap } = augmented(chart, told(0.5, 0.5, 0, 0.99, 0.49));
    assert.deepEqual([pixel(bitmap, 0, 0), pixel(bitmap, 39, 23)], [[44, 16, 7], [5, 39, 7]]);
  });

  test('has its boxes where they are shown, with what else they say', () => {
    const { next: random } = seededRandom(3);
    for (let i = 0; i < 200; i++) {
      // A box of one pixel: its colour tells where it was, and so whether it is where the box says.
      const [x, y] = [Math.floor(random() * width), Math.floor(random() * height)];
      const { bitmap, boxes } = augmented(chart, random, { boxes: [{ class_id: i, x1: x, y1: y, x2: x + 1, y2: y + 1 }] });
      const shown = Array.from({ length: bitmap.width * bitmap.height }, (_, at) => at).some((at) => bitmap.pixels[at * 3] === x && bitmap.pixels[at * 3 + 1] === y);
      assert.equal(boxes.length, shown ? 1 : 0);
      const [box] = boxes;
      if (!box) continue;
      assert.deepEqual([box.class_id, box.x2 - box.x1, box.y2 - box.y1], [i, 1, 1]);
      assert.deepEqual(pixel(bitmap, box.x1, box.y1), [x, y, 7]);
    }
  });

  test('clips a box, and leaves out one of which too little is left', () => {
    const cut = told(0.5, 0.5, 0, 0.99, 0.5);
    const { boxes } = augmented(chart, cut, { boxes: [all, { ...all, x2: 20 }, { ...all, x1: 46 }, { ...all, y2: 20 }], visible: 0.3 });
    assert.deepEqual(boxes, [{ class_id: 3, x1: 0, y1: 0, x2: 40, y2: 24 }, { class_id: 3, x1: 0, y1: 0, x2: 15, y2: 24 }]);
  });

  test('never gets smaller than it may, nor larger than the picture, and is cut like a frame', async () => {
    const { next: random } = seededRandom(1);
    const mirrors = new Set<boolean>();
    for (let i = 0; i < 100; i++) {
      const { bitmap } = augmented(chart, random, { least: 0.8 });
      assert.ok(bitmap.width >= 40 && bitmap.width <= 50 && bitmap.height >= 32 && bitmap.height <= 40);
      mirrors.add(pixel(bitmap, 0, 0)[0]! > pixel(bitmap, bitmap.width - 1, 0)[0]!);
    }
    assert.equal(mirrors.size, 2);
    const { bitmap } = augmented({ ...chart, width: 1, height: 1, pixels: Buffer.from([1, 2, 3]) }, random);
    const { pixels } = await cutTensor(bitmap, { name: 'image', width: 2, height: 2, fit: { mode: 'stretch' } });
    assert.deepEqual([...pixels], [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
  });
});
