/** The resampler beside an independent implementation: bit by bit, for pictures that shrink, grow, or are a line or a point. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Bitmap } from '../processors/preprocess/decode.ts';
import { kernels } from '../processors/preprocess/simd/kernels.ts';
import { resampler } from '../processors/preprocess/simd/resample.ts';
import type { Filter } from '../processors/preprocess/simd/weights.ts';
import { cutRegion } from '../processors/preprocess/tensor.ts';
import { generated } from './reference/resample.ts';

interface Case {
  readonly picture: readonly [width: number, height: number];
  readonly region: readonly [left: number, top: number, width: number, height: number];
  readonly to: readonly [width: number, height: number];
  readonly filter: Filter;
  readonly sha256: string;
}

/** How it was made is told by its script. */
const { cases }: { cases: Case[] } = JSON.parse(readFileSync(new URL('./reference/resample.json', import.meta.url), 'utf8'));
const sha256 = (pixels: Uint8Array): string => createHash('sha256').update(pixels).digest('hex');
const own = kernels();
const resample = resampler(own);

describe('the resampler', () => {
  for (const [width, height] of new Map(cases.map((one) => [String(one.picture), one.picture])).values()) {
    test(`of a picture of ${width} x ${height}: what Pillow has, bit by bit`, () => {
      const pixels = generated(width, height);
      const wanted = cases.filter((one) => String(one.picture) === `${width},${height}`);
      assert.ok(wanted.length >= 5);
      for (const { region: [left, top, w, h], to, filter, sha256: expected } of wanted) {
        own.picture(pixels.length).set(pixels);
        const got = resample(width, { left, top, width: w, height: h }, { width: to[0], height: to[1] }, filter);
        assert.equal(sha256(got), expected, `${w} x ${h} at ${left}, ${top} to ${to.join(' x ')}, ${filter}`);
      }
    });
  }

  test('what is owed is added before rounding, and never beyond white', () => {
    const even = Buffer.alloc(30 * 20 * 3, 254);
    own.picture(even.length).set(even);
    const lifted = resample(30, { left: 0, top: 0, width: 30, height: 20 }, { width: 10, height: 10 }, 'bilinear', [0.4, 0.6, 5]);
    assert.deepEqual([...lifted.subarray(0, 3), ...lifted.subarray(-3)], [254, 255, 255, 254, 255, 255]);
  });
});

describe('a region of a bitmap', () => {
  const [width, height] = [640, 480];
  const bitmap: Bitmap = { pixels: generated(width, height), width, height, original: { width: 1280, height: 960 } };

  test('is cut by the same resampler, and says where it lies in the original', async () => {
    for (const { region: [left, top, w, h], to, filter, sha256: expected } of cases.filter((one) => String(one.picture) === '640,480')) {
      const input = { name: 'image', width: to[0], height: to[1], fit: filter === 'bicubic' ? ({ mode: 'crop', fraction: 1 } as const) : ({ mode: 'stretch' } as const) };
      const { pixels, geometry } = await cutRegion(bitmap, { left, top, width: w, height: h }, input);
      assert.equal(sha256(pixels), expected);
      assert.deepEqual(geometry, { image_width: 1280, image_height: 960, x: left * 2, y: top * 2, width: w * 2, height: h * 2 });
    }
  });

  test('a thread of pixels takes no memory for rows at the tensor\'s width', async () => {
    const [w, h] = [1, 250_000];
    const input = { name: 'image', width: 416, height: 416, fit: { mode: 'stretch' } as const };
    const before = process.memoryUsage().rss;
    const { pixels } = await cutRegion({ pixels: Buffer.alloc(w * h * 3, 77), width: w, height: h, original: { width: w, height: h } }, { left: 0, top: 0, width: w, height: h }, input);
    assert.ok(pixels.length === 416 * 416 * 3 && pixels.every((value) => value === 77));
    // They would be 312 MB.
    assert.ok(process.memoryUsage().rss - before < 100_000_000, `${process.memoryUsage().rss - before} bytes more`);
  });

  test('too large for the calling thread: by libvips, within a few levels', async () => {
    const [w, h] = [2100, 1000];
    // Even areas, since single pixels of noise all but vanish in such a shrink whatever the filter.
    const pixels = Buffer.from(Uint8Array.from({ length: w * h * 3 }, (_, i) => Math.floor(((Math.floor(i / 3) % w) / w) * 200) + (i % 3) * 20));
    const input = { name: 'image', width: 224, height: 224, fit: { mode: 'stretch' } as const };
    const whole = await cutRegion({ pixels, width: w, height: h, original: { width: w, height: h } }, { left: 0, top: 0, width: w, height: h }, input);
    own.picture(pixels.length).set(pixels);
    const exact = resample(w, { left: 0, top: 0, width: w, height: h }, input, 'bilinear');
    assert.ok(whole.pixels.every((value, i) => Math.abs(value - exact[i]!) <= 2));
  });
});
