import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import sharp, { type Sharp } from 'sharp';
import { SaccadeError, type ErrorCode } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { decodeImage } from '../processors/preprocess/decode.ts';
import { measureQuality } from '../processors/preprocess/quality.ts';
import { regionOf, shrinkFor } from '../processors/preprocess/region.ts';
import { cutTensor } from '../processors/preprocess/tensor.ts';
import { bomb, disoriented, photo, quadrants } from './reference/pictures.ts';

const models = await loadModels(fileURLToPath(new URL('../models', import.meta.url)), ['efficientnet-lite0', 'nanodet', 'ultraface']);
const inputs = models.map(({ card }) => card.input);
const [lite, nano] = [inputs[0]!, inputs[1]!];
const limits = preprocessConfig.parse({});

const isNear = (pixels: Buffer, at: number, colour: readonly number[], tolerance: number): void => {
  const found = [...pixels.subarray(at * 3, at * 3 + 3)];
  assert.ok(
    found.every((value, i) => Math.abs(value - colour[i]!) <= tolerance),
    `pixel ${at} is ${found}, not ${colour} within ${tolerance}`,
  );
};

const fails = (code: ErrorCode) => (error: unknown): boolean => {
  assert.ok(error instanceof SaccadeError, String(error));
  assert.equal(error.code, code);
  return true;
};

const corners = (bitmap: { pixels: Buffer; width: number; height: number }, tolerance: number): void => {
  const { pixels, width, height } = bitmap;
  assert.deepEqual([width, height], [64, 48]);
  const at = (x: number, y: number): number => y * width + x;
  isNear(pixels, at(8, 8), [255, 0, 0], tolerance);
  isNear(pixels, at(56, 8), [0, 255, 0], tolerance);
  isNear(pixels, at(8, 40), [0, 0, 255], tolerance);
  isNear(pixels, at(56, 40), [255, 255, 0], tolerance);
};

const even = (value: number): Buffer => Buffer.alloc(100 * 80 * 3, value);
const measure = async (image: Sharp) => measureQuality(await decodeImage(await image.png().toBuffer(), inputs, limits));

describe('decoding', () => {
  const encodings: Record<string, [number, () => Promise<Buffer>]> = {
    // JPEG's colour transform and rounding at quality 95 move a saturated colour by a few levels.
    'JPEG': [4, async () => (await quadrants()).jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer()],
    'progressive JPEG': [4, async () => (await quadrants()).jpeg({ quality: 95, chromaSubsampling: '4:4:4', progressive: true }).toBuffer()],
    'PNG': [0, async () => (await quadrants()).png().toBuffer()],
    'PNG with a palette': [0, async () => (await quadrants()).png({ palette: true }).toBuffer()],
    '16-bit PNG': [1, async () => (await quadrants()).toColourspace('rgb16').png().toBuffer()],
    'lossless WebP': [1, async () => (await quadrants()).webp({ lossless: true }).toBuffer()],
    'PNG with an ICC profile': [3, async () => (await quadrants()).withIccProfile('p3').png().toBuffer()],
    'opaque RGBA': [0, async () => (await quadrants()).ensureAlpha().png().toBuffer()],
  };
  for (const [kind, [tolerance, make]] of Object.entries(encodings)) {
    test(`${kind} comes out as upright sRGB`, async () => corners(await decodeImage(await make(), inputs, limits), tolerance));
  }

  test('a wide-gamut profile is converted, not dropped', async () => {
    const bytes = await (await quadrants()).withIccProfile('p3').png().toBuffer();
    const at = 8 * 64 + 8;
    // The same file read without its profile has other numbers: this test could not tell otherwise.
    const unmanaged = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer();
    assert.ok(unmanaged[at * 3]! < 245);
    const { pixels } = await decodeImage(bytes, inputs, limits);
    isNear(pixels, at, [255, 0, 0], 3);
  });

  for (let orientation = 1; orientation <= 8; orientation++) {
    test(`EXIF orientation ${orientation} is undone`, async () => {
      corners(await decodeImage(await disoriented(await (await quadrants()).png().toBuffer(), orientation, 'png'), inputs, limits), 0);
    });
  }

  test('CMYK is converted: white stays white and black dark', async () => {
    const halves = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#fff' } })
      .composite([{ input: { create: { width: 32, height: 64, channels: 3, background: '#000' } }, left: 0, top: 0 }])
      .png()
      .toBuffer();
    const cmyk = await sharp(halves).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer();
    assert.equal((await sharp(cmyk).metadata()).space, 'cmyk');
    const { pixels } = await decodeImage(cmyk, inputs, limits);
    isNear(pixels, 30 * 64 + 60, [255, 255, 255], 6);
    isNear(pixels, 30 * 64 + 4, [20, 20, 20], 30);
  });

  for (const depth of ['b-w', 'grey16'] as const) {
    test(`greyscale (${depth}) becomes three equal channels`, async () => {
      const bytes = await sharp({ create: { width: 20, height: 10, channels: 3, background: '#808080' } }).toColourspace(depth).png().toBuffer();
      const { pixels } = await decodeImage(bytes, inputs, limits);
      assert.equal(pixels.length, 20 * 10 * 3);
      isNear(pixels, 100, [128, 128, 128], 1);
    });
  }

  test('transparent pixels are laid on white', async () => {
    const bytes = await sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0.5 } } }).png().toBuffer();
    const { pixels } = await decodeImage(bytes, inputs, limits);
    isNear(pixels, 20, [127, 127, 127], 2);
  });

  test('an animation is its first frame', async () => {
    const frames = await Promise.all(['#ff0000', '#0000ff'].map((background) => sharp({ create: { width: 32, height: 24, channels: 3, background } }).png().toBuffer()));
    const bytes = await sharp(frames, { join: { animated: true } }).webp({ lossless: true }).toBuffer();
    assert.equal((await sharp(bytes).metadata()).pages, 2);
    const bitmap = await decodeImage(bytes, inputs, limits);
    assert.deepEqual(bitmap.original, { width: 32, height: 24 });
    isNear(bitmap.pixels, 100, [255, 0, 0], 1);
  });

  test('what follows the end of a JPEG is nobody\'s business', async () => {
    const [plain, trailed] = await Promise.all([photo('coffee'), Buffer.concat([photo('coffee'), Buffer.alloc(500, 7)])].map((bytes) => decodeImage(bytes, inputs, limits)));
    assert.ok(plain!.pixels.equals(trailed!.pixels));
  });

  test('one pixel is a picture', async () => {
    const bytes = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#123456' } }).png().toBuffer();
    const bitmap = await decodeImage(bytes, inputs, limits);
    for (const input of inputs) {
      const { pixels, geometry } = await cutTensor(bitmap, input);
      assert.equal(pixels.length, input.width * input.height * 3);
      isNear(pixels, input.width * input.height - 1, [0x12, 0x34, 0x56], 0);
      assert.deepEqual(geometry, { image_width: 1, image_height: 1, x: 0, y: 0, width: 1, height: 1 });
    }
    assert.deepEqual(measureQuality(bitmap).sharpness, 0);
  });

  test('a line of pixels is a picture', async () => {
    const bytes = await sharp({ create: { width: 3000, height: 1, channels: 3, background: '#fff' } }).png().toBuffer();
    const { pixels } = await cutTensor(await decodeImage(bytes, inputs, limits), nano);
    assert.ok(pixels.every((value) => value === 255));
  });

  test('large pictures are decoded smaller, and the geometry still speaks of the original', async () => {
    const bytes = await sharp(photo('coffee')).resize(4001, 3003, { fit: 'fill' }).jpeg().toBuffer();
    const bitmap = await decodeImage(bytes, inputs, limits);
    assert.equal(bitmap.width, 1001);
    assert.deepEqual(bitmap.original, { width: 4001, height: 3003 });
    const { geometry } = await cutTensor(bitmap, lite);
    assert.equal(geometry.image_width, 4001);
    assert.ok(Math.abs(geometry.width - 0.875 * 3003) < 6 && Math.abs(geometry.height - 0.875 * 3003) < 6);
    assert.ok(Math.abs(geometry.x + geometry.width / 2 - 4001 / 2) < 6);
  });
});

const coffee = sharp(photo('coffee'));
const whole = { jpeg: photo('coffee'), png: await coffee.clone().png().toBuffer(), webp: await coffee.clone().webp().toBuffer() };

describe('pictures refused', () => {
  for (const [kind, bytes] of Object.entries(whole)) {
    for (const share of [0.3, 0.9]) {
      test(`a ${kind} cut off at ${share * 100} %`, () =>
        assert.rejects(decodeImage(bytes.subarray(0, Math.floor(bytes.length * share)), inputs, limits), fails('undecodable_image')));
    }
  }
  test('a JPEG of its first bytes', () => assert.rejects(decodeImage(photo('coffee').subarray(0, 4), inputs, limits), fails('undecodable_image')));
  test('nothing', () => assert.rejects(decodeImage(Buffer.alloc(0), inputs, limits), fails('payload_empty')));
  test('noise', () => assert.rejects(decodeImage(Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 7919) & 255)), inputs, limits), fails('unsupported_media_type')));
  test('a format that can read files', () =>
    assert.rejects(decodeImage(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), inputs, limits), fails('unsupported_media_type')));
  test('a PNG that claims 4 billion pixels, by its header', async () => {
    await assert.rejects(decodeImage(bomb(65_000, 65_000), inputs, limits), (error) => fails('too_many_pixels')(error) && /65000 x 65000/.test(String(error)));
  });
  test('one pixel more than the limit, and not the limit itself', async () => {
    const bytes = await sharp({ create: { width: 100, height: 10, channels: 3, background: '#fff' } }).png().toBuffer();
    await decodeImage(bytes, inputs, { ...limits, maxPixels: 1000 });
    await assert.rejects(decodeImage(bytes, inputs, { ...limits, maxPixels: 999 }), fails('too_many_pixels'));
  });
});

describe('what a model sees', () => {
  test('the whole picture, or the centre square of a fraction', () => {
    assert.deepEqual(regionOf({ mode: 'stretch' }, { width: 640, height: 480 }), { left: 0, top: 0, width: 640, height: 480 });
    assert.deepEqual(regionOf({ mode: 'crop', fraction: 0.875 }, { width: 640, height: 480 }), { left: 110, top: 30, width: 420, height: 420 });
    assert.deepEqual(regionOf({ mode: 'crop', fraction: 0.1 }, { width: 3, height: 2 }), { left: 1, top: 1, width: 1, height: 1 });
  });

  test('is left finer than the tensor while decoding', () => {
    // 520 is 416 and a quarter more.
    assert.equal(shrinkFor([nano], { width: 2076, height: 9000 }), 1);
    assert.equal(shrinkFor([nano], { width: 2077, height: 9000 }), 4);
    assert.equal(shrinkFor([nano], { width: 9000, height: 9000 }), 8);
    assert.equal(shrinkFor([lite], { width: 1276, height: 1276 }), 1);
    assert.equal(shrinkFor([lite], { width: 1277, height: 1277 }), 4);
    assert.equal(shrinkFor([lite, nano], { width: 1277, height: 1277 }), 1);
  });
});

describe('quality', () => {
  test('of an even picture: its luma, no contrast, nothing sharp', () => {
    const { luma, contrast, sharpness } = measureQuality({ pixels: even(200), width: 100, height: 80 });
    assert.ok(Math.abs(luma - 200) < 0.01);
    assert.ok(contrast < 0.01 && sharpness < 0.01);
  });
  test('of a checkerboard: the formulas by hand', () => {
    const pixels = Buffer.from(Array.from({ length: 100 * 80 * 3 }, (_, i) => ((Math.floor(i / 3) % 100) + Math.floor(i / 300)) % 2 === 0 ? 0 : 255));
    const { luma, contrast, sharpness } = measureQuality({ pixels, width: 100, height: 80 });
    assert.ok(Math.abs(luma - 127.5) < 0.01 && Math.abs(contrast - 127.5) < 0.01);
    // The Laplacian is +1020 or -1020, as often.
    assert.ok(Math.abs(sharpness / 1020 ** 2 - 1) < 0.001);
  });
  test('green weighs more than blue (Rec. 601)', () => {
    const pure = [[255, 0, 0], [0, 255, 0], [0, 0, 255]].map((pixel) => measureQuality({ pixels: Buffer.from(pixel), width: 1, height: 1 }));
    assert.deepEqual(pure.map(({ luma }) => Math.round((luma / 255) * 1000)), [299, 587, 114]);
  });
  test('saturation and entropy: the formulas by hand', () => {
    const of = (...pixels: number[][]): ReturnType<typeof measureQuality> => measureQuality({ pixels: Buffer.from(pixels.flat()), width: pixels.length, height: 1 });
    const [grey, black, red, pale] = [of([90, 90, 90]), of([0, 0, 0]), of([255, 0, 0]), of([200, 100, 150])].map(({ saturation }) => saturation);
    assert.deepEqual([grey, black, red, pale], [0, 0, 1, 0.5]);
    assert.equal(of([90, 90, 90]).entropy, 0);
    assert.ok(Math.abs(of([0, 0, 0], [50, 50, 50], [100, 100, 100], [255, 255, 255]).entropy! - 2) < 1e-9);
    assert.ok(Math.abs(of([0, 0, 0], [0, 0, 0], [0, 0, 0], [255, 255, 255]).entropy! - 0.811278) < 1e-6);
  });
  test('sharpness falls with blur, luma with the light', async () => {
    const [plain, blurred, dark] = await Promise.all([
      measure(sharp(photo('coffee'))),
      measure(sharp(photo('coffee')).blur(4)),
      measure(sharp(photo('coffee')).linear(0.5, 0)),
    ]);
    assert.ok(blurred.sharpness < plain.sharpness / 3);
    assert.ok(Math.abs(dark.luma / plain.luma - 0.5) < 0.02 && Math.abs(dark.contrast / plain.contrast - 0.5) < 0.02);
  });
});
