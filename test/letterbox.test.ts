/** Letterboxed tensors beside an independent implementation: pixels bit by bit, and the boxes found in them, back in the original. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import type { Engine } from '../processors/infer/engine.ts';
import { iou } from '../processors/infer/nms.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { cutter } from '../processors/preprocess/cutter.ts';
import { decodeImage } from '../processors/preprocess/decode.ts';
import { fastCutter } from '../processors/preprocess/fast-jpeg/cut.ts';
import { placeOf } from '../processors/preprocess/region.ts';
import { cutTensor, geometryOf } from '../processors/preprocess/tensor.ts';
import { type Model, modelCardSchema, type ModelInput } from '../schemas/model-card.ts';
import type { Frame } from '../schemas/records.ts';
import { photo } from './reference/pictures.ts';
import { generated } from './reference/resample.ts';
import { inference } from './support/inference.ts';
import { engineWith, modelsNamed } from './support/models.ts';

interface Padding {
  readonly pad: number | [number, number, number];
  readonly align: 'centre' | 'start';
}
interface Reference {
  readonly tensors: readonly { readonly picture: readonly [number, number]; readonly to: readonly [number, number]; readonly fit: Padding; readonly place: readonly number[]; readonly sha256: string }[];
  readonly parts: readonly { readonly photo: string; readonly region: readonly [number, number, number, number]; readonly fit: Padding; readonly boxes: readonly Box[] }[];
}
interface Box {
  readonly class_id: number;
  readonly score: number;
  readonly box: readonly [number, number, number, number];
}

/** How it was made is told by its script. */
const reference: Reference = JSON.parse(readFileSync(new URL('./reference/letterbox.json', import.meta.url), 'utf8'));
const limits = preprocessConfig.parse({});
const [nanodet] = (await modelsNamed('nanodet')) as [Model];
const padded = (fit: Padding): ModelInput => ({ ...nanodet.card.input, fit: { mode: 'letterbox', ...fit } });

describe('a letterboxed tensor', () => {
  for (const [width, height] of new Map(reference.tensors.map((one) => [String(one.picture), one.picture])).values()) {
    test(`of a picture of ${width} x ${height}: what Pillow makes of it, bit by bit`, async () => {
      const size = { width, height };
      const bitmap = { pixels: generated(width, height), ...size, original: size };
      const wanted = reference.tensors.filter(({ picture }) => String(picture) === `${width},${height}`);
      assert.ok(wanted.length >= 9);
      for (const { to, fit, place, sha256 } of wanted) {
        const input: ModelInput = { name: 'image', width: to[0], height: to[1], fit: { mode: 'letterbox', ...fit } };
        const what = `to ${to.join(' x ')}, ${JSON.stringify(fit)}`;
        const found = placeOf(input, size);
        assert.deepEqual([found.left, found.top, found.width, found.height], place, what);
        const { pixels } = await cutTensor(bitmap, input);
        assert.equal(createHash('sha256').update(pixels).digest('hex'), sha256, what);
      }
    });
  }

  test('is the same by the fast way to decode, also in memory that held another', async (t) => {
    const input = padded({ pad: [1, 2, 3], align: 'centre' });
    const jpeg = await sharp(photo('coffee')).resize(600, 301, { fit: 'fill' }).jpeg().toBuffer();
    const slow = await cutTensor(await decodeImage(jpeg, [input], limits), input);
    const used = new ArrayBuffer(slow.pixels.length);
    new Uint8Array(used).fill(77);
    const quick = fastCutter()(jpeg, { width: 600, height: 301, grey: false }, [input], [used]);
    assert.equal(quick.tensors[0]!.buffer, used);
    assert.ok(slow.pixels.equals(quick.tensors[0]!));
    const threads = cutter(() => [input], limits);
    t.after(() => threads.stop());
    await threads.start();
    const [tensor] = (await threads.cut(jpeg, [input])).tensors;
    assert.ok(slow.pixels.equals(tensor!.pixels));
    assert.deepEqual(tensor!.geometry, slow.geometry);
  });

  test('of a picture that was shrunk while decoding lies where that of the original would', async () => {
    const input = padded({ pad: 114, align: 'centre' });
    const [width, height] = [4001, 3003];
    const bitmap = await decodeImage(await sharp(photo('coffee')).resize(width, height, { fit: 'fill' }).jpeg().toBuffer(), [input], limits);
    assert.ok(bitmap.width < width / 2, 'or this test shows nothing');
    const whole = { width, height, original: { width, height } };
    assert.deepEqual((await cutTensor(bitmap, input)).geometry, geometryOf(whole, { left: 0, top: 0, width, height }, input));
  });
});

describe('boxes of a letterboxed model', () => {
  let engine: Engine;
  const card = modelCardSchema.parse({ ...nanodet.card, input: { ...nanodet.card.input, fit: { mode: 'letterbox' } } });
  before(async () => void (engine = await engineWith([nanodet], { now: () => 0, sleep: async () => {} }, { workers: 1 })));
  after(() => engine.close());

  test('a card that says no more pads like Ultralytics', () => assert.deepEqual(card.input.fit, { mode: 'letterbox', pad: 114, align: 'centre' }));

  for (const fit of new Map(reference.parts.map((one) => [JSON.stringify(one.fit), one.fit])).values()) {
    test(`are the reference's, through preprocess and infer, in pixels of the original: ${JSON.stringify(fit)}`, async () => {
      const parts = reference.parts.filter((one) => JSON.stringify(one.fit) === JSON.stringify(fit));
      const run = await inference({ models: [{ ...nanodet, card: { ...card, input: padded(fit) } }], engine, cache: null, fuse: [['preprocess', 'infer']] });
      const predictions = await run.ask(...(await Promise.all(parts.map(frameOf)))).finally(() => run.stop());
      const threshold = card.thresholds.score + 0.01;
      let [all, found] = [0, 0];
      for (const { frame_id, detections: ours, image_width, image_height } of predictions) {
        const { region: [, , width, height], boxes } = parts[Number(frame_id)]!;
        assert.deepEqual([image_width, image_height], [width, height]);
        const theirs = boxes.map(({ class_id, score, box: [x1, y1, x2, y2] }) => ({ class_id, score, x1, y1, x2, y2 }));
        for (const [some, others] of [[theirs, ours], [ours, theirs]] as const) {
          for (const one of some.filter(({ score }) => score > threshold)) {
            all += 1;
            if (others.some((other) => other.class_id === one.class_id && iou(other, one) >= 0.9)) found += 1;
          }
        }
        assert.ok(ours.every(({ x1, y1, x2, y2 }) => x1 >= 0 && y1 >= 0 && x2 <= width && y2 <= height));
      }
      assert.ok(all > 20 && found >= 0.95 * all, `${found} of ${all}`);
    });
  }
});

/** Its id is its place among the parts. */
async function frameOf({ photo: name, region: [left, top, width, height] }: Reference['parts'][number], i: number): Promise<Frame> {
  const image = await sharp(photo(name)).extract({ left, top, width, height }).png().toBuffer();
  const identity = { id: String(i), tenant: 't', source: 'cam', sequence: i, captured_at: 1, accepted_at: 2, deadline: null, reply: null };
  return { ...identity, content_type: 'image/png', size: image.length, image, claim: null, models: [nanodet.card.name] };
}
