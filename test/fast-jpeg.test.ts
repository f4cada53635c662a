/** The fast path beside the slow one, which is its reference: the same tensors within a level or so, and never a picture it should not touch. */
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { cutter } from '../processors/preprocess/cutter.ts';
import { decodeImage } from '../processors/preprocess/decode.ts';
import { fastCutter } from '../processors/preprocess/fast-jpeg/cut.ts';
import { plainJpeg } from '../processors/preprocess/fast-jpeg/header.ts';
import { fastJpegPool } from '../processors/preprocess/fast-jpeg/pool.ts';
import { measureQuality } from '../processors/preprocess/quality.ts';
import { cutTensor } from '../processors/preprocess/tensor.ts';
import { arithmetic, disoriented, photo, withSegment } from './reference/pictures.ts';

const models = await loadModels(fileURLToPath(new URL('../models', import.meta.url)), ['efficientnet-lite0', 'nanodet', 'ultraface']);
const inputs = models.map(({ card }) => card.input);
const limits = preprocessConfig.parse({});
const fast = fastCutter();

const sized = (name: string, width: number, height: number) => sharp(photo(name)).resize(width, height, { fit: 'fill' });
const small = () => sized('coffee', 320, 240);
const plain = await small().jpeg().toBuffer();

async function slowly(bytes: Buffer) {
  const bitmap = await decodeImage(bytes, inputs, limits);
  return { quality: measureQuality(bitmap), tensors: await Promise.all(inputs.map((input) => cutTensor(bitmap, input))) };
}

function difference(a: Uint8Array, b: Uint8Array): { mean: number; max: number; bias: number } {
  assert.equal(a.length, b.length);
  let [sum, max] = [0, 0];
  const signed = [0, 0, 0];
  a.forEach((value, i) => {
    const by = value - b[i]!;
    sum += Math.abs(by);
    signed[i % 3]! += by;
    max = Math.max(max, Math.abs(by));
  });
  // Of the channel that is worst off.
  return { mean: sum / a.length, max, bias: Math.max(...signed.map((each) => (3 * Math.abs(each)) / a.length)) };
}

const alike = (a: Uint8Array, b: Uint8Array, what: string): void => {
  const { mean, max, bias } = difference(a, b);
  assert.ok(mean < 1.2 && max <= 16 && bias < 0.6, `${what}: mean ${mean.toFixed(2)}, most ${max}, bias ${bias.toFixed(2)}`);
};

describe('a plain JPEG, decoded fast', () => {
  for (const name of ['astronaut', 'coffee', 'chelsea']) {
    for (const [width, height, quality, chromaSubsampling] of [
      [640, 480, 80, '4:2:0'], [640, 480, 95, '4:4:4'], [480, 640, 50, '4:2:0'], [1280, 720, 85, '4:2:0'], [333, 251, 90, '4:2:0'], [61, 47, 80, '4:4:4'],
    ] as const) {
      test(`${name} at ${width} x ${height}, quality ${quality}, ${chromaSubsampling}: as libvips has it`, async () => {
        const bytes = await sized(name, width, height).jpeg({ quality, chromaSubsampling }).toBuffer();
        const found = plainJpeg(bytes)!;
        assert.deepEqual(found, { width, height, exif: false });
        const [quick, slow] = [fast(bytes, found, inputs), await slowly(bytes)];
        quick.tensors.forEach((tensor, i) => alike(tensor, slow.tensors[i]!.pixels, models[i]!.card.name));
        assert.ok(Math.abs(quick.quality.luma - slow.quality.luma) < 0.3, 'luma');
        assert.ok(Math.abs(quick.quality.contrast - slow.quality.contrast) < 0.3, 'contrast');
        assert.ok(Math.abs(quick.quality.sharpness - slow.quality.sharpness) <= 0.03 * slow.quality.sharpness + 1, 'sharpness');
      });
    }
  }

  test('one pixel is a picture', async () => {
    const bytes = await sized('coffee', 1, 1).jpeg().toBuffer();
    const slow = await slowly(bytes);
    fast(bytes, { width: 1, height: 1 }, inputs).tensors.forEach((tensor, i) => assert.ok(difference(tensor, slow.tensors[i]!.pixels).max <= 1));
  });

  test('an all but even picture keeps its level to the last bit of the weights', async () => {
    const bytes = await sharp({ create: { width: 640, height: 480, channels: 3, background: '#c86432' } }).jpeg({ quality: 95 }).toBuffer();
    const slow = await slowly(bytes);
    fast(bytes, { width: 640, height: 480 }, inputs).tensors.forEach((tensor, i) => assert.ok(difference(tensor, slow.tensors[i]!.pixels).max <= 1));
  });

  test('one cutter takes pictures of all sizes in turn', async () => {
    const wide = await sized('astronaut', 1600, 900).jpeg().toBuffer();
    const first = fast(plain, { width: 320, height: 240 }, inputs);
    fast(wide, { width: 1600, height: 900 }, inputs);
    const again = fast(plain, { width: 320, height: 240 }, inputs);
    assert.deepEqual(again, first);
  });
});

describe('who may take the fast path', () => {
  const yes: Record<string, () => Promise<Buffer>> = {
    '4:2:0': () => small().jpeg().toBuffer(),
    'optimised tables': () => small().jpeg({ optimiseCoding: true }).toBuffer(),
    'an EXIF block': () => small().withExif({ IFD0: { Make: 'Camera' } }).jpeg().toBuffer(),
    'XMP': async () => withSegment(plain, 0xe1, Buffer.from('http://ns.adobe.com/xap/1.0/\0<x/>')),
    'a comment': async () => withSegment(plain, 0xfe, Buffer.from('hello')),
    'Adobe\'s YCbCr': async () => withSegment(plain, 0xee, Buffer.from('Adobe\0\x64\0\0\0\0\x01', 'latin1')),
  };
  const no: Record<string, () => Promise<Buffer>> = {
    'progressive': () => small().jpeg({ progressive: true }).toBuffer(),
    'CMYK': () => small().toColourspace('cmyk').jpeg().toBuffer(),
    'greyscale': () => small().greyscale().toColourspace('b-w').jpeg().toBuffer(),
    'an ICC profile': () => small().withIccProfile('p3').jpeg().toBuffer(),
    'Adobe\'s RGB': async () => withSegment(plain, 0xee, Buffer.from('Adobe\0\x64\0\0\0\0\0', 'latin1')),
    'arithmetic coding': async () => arithmetic(plain),
    'a marker that is none': async () => withSegment(plain, 0x4f, Buffer.alloc(4)),
    'two headers': async () => withSegment(plain, 0xc0, Buffer.from('0800f0014003011100021100031100', 'hex')),
    'a header cut short': async () => plain.subarray(0, 100),
    'PNG': () => small().png().toBuffer(),
    'WebP': () => small().webp().toBuffer(),
    'nothing': async () => Buffer.alloc(0),
  };
  for (const [what, make] of Object.entries(yes)) test(`${what}: yes`, async () => assert.ok(plainJpeg(await make())));
  for (const [what, make] of Object.entries(no)) test(`${what}: no`, async () => assert.equal(plainJpeg(await make()), null));

  test('a truncated one is not taken for whole', () => {
    for (const share of [0.3, 0.6, 0.95]) {
      const bytes = plain.subarray(0, Math.floor(plain.length * share));
      assert.throws(() => fast(bytes, plainJpeg(bytes)!, inputs));
    }
  });

  test('a decoder that finds another size than the header\'s reader is not believed', () => {
    assert.throws(() => fast(plain, { width: 320, height: 241 }, inputs), /320 x 240/);
    assert.throws(() => fast(plain, { width: 100, height: 100 }, inputs), /buffer/i);
  });
});

describe('the cutter', () => {
  const both = cutter(inputs, limits);
  after(() => both.stop());

  test('takes the fast path for a plain JPEG: its tensors are that path\'s, bit by bit', async () => {
    const { tensors, quality } = await both.cut(plain, inputs);
    const expected = fast(plain, { width: 320, height: 240 }, inputs);
    assert.deepEqual(quality, expected.quality);
    tensors.forEach(({ pixels }, i) => assert.ok(pixels.equals(expected.tensors[i]!)));
    assert.notDeepEqual(tensors[0]!.pixels, (await slowly(plain)).tensors[0]!.pixels, 'else this test could not tell the paths apart');
  });

  for (const [what, make] of Object.entries({
    'a progressive JPEG': () => small().jpeg({ progressive: true }).toBuffer(),
    'a picture that has to be turned': async () => disoriented(await small().png().toBuffer(), 6, 'jpeg'),
    'a picture that is shrunk while decoding': () => sized('coffee', 4000, 3000).jpeg().toBuffer(),
    'a picture of many pixels and few lines': () => sized('coffee', 16000, 300).jpeg().toBuffer(),
  })) {
    test(`takes the slow path for ${what}`, async () => {
      const bytes = await make();
      const [found, expected] = [await both.cut(bytes, inputs), await slowly(bytes)];
      assert.deepEqual(found.quality, expected.quality);
      found.tensors.forEach((tensor, i) => assert.deepEqual(tensor, expected.tensors[i]));
    });
  }

  test('the geometry is the same on both paths', async () => {
    const [found, expected] = [await both.cut(plain, inputs), await slowly(plain)];
    assert.deepEqual(found.tensors.map(({ geometry }) => geometry), expected.tensors.map(({ geometry }) => geometry));
  });

  test('refuses by pixels before it decodes', () =>
    assert.rejects(cutter(inputs, { ...limits, maxPixels: 1000 }).cut(plain, inputs), (error) => error instanceof SaccadeError && error.code === 'too_many_pixels'));

  test('says of a truncated one what libvips says', () =>
    assert.rejects(both.cut(plain.subarray(0, plain.length >> 1), inputs), (error) => error instanceof SaccadeError && error.code === 'undecodable_image'));

  test('40 at once are 40 answers, each its own', async () => {
    const pictures = await Promise.all(Array.from({ length: 40 }, (_, i) => sized('chelsea', 200 + 7 * i, 150 + 5 * i).jpeg().toBuffer()));
    const all = await Promise.all(pictures.map((bytes) => both.cut(bytes, inputs)));
    all.forEach(({ tensors }, i) => assert.equal(tensors[0]!.geometry.image_width, 200 + 7 * i));
  });
});

describe('the pool', () => {
  test('what is under way when it stops is answered: the slow path takes it over', async () => {
    const pool = fastJpegPool(2);
    await pool.start();
    const answers = Array.from({ length: 8 }, () => pool.cut(plain, { width: 320, height: 240 }, inputs));
    await pool.stop();
    for (const answer of await Promise.all(answers)) assert.ok(answer === null || answer.tensors.length === inputs.length);
  });
});
