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
import { accurateDecoder, bindingDecoder, type JpegDecoder } from '../processors/preprocess/fast-jpeg/turbojpeg.ts';
import { measureQuality } from '../processors/preprocess/quality.ts';
import { kernels } from '../processors/preprocess/simd/kernels.ts';
import { qualityOf } from '../processors/preprocess/simd/quality.ts';
import { cutTensor } from '../processors/preprocess/tensor.ts';
import { isSrgb } from '../processors/preprocess/fast-jpeg/srgb.ts';
import { iccProfile, parametric, tableOf, withProfile } from './reference/colour-profiles.ts';
import { arithmetic, disoriented, greyFactors, photo, withSegment } from './reference/pictures.ts';

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

const curve = (v: number): number => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const srgbProfiles: Record<string, Buffer> = {
  'a table of 1024 values': iccProfile({ curve: tableOf(1024, curve) }),
  'a table of 4096 values': iccProfile({ curve: tableOf(4096, curve) }),
  'a parametric curve': iccProfile({ curve: parametric(3, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045]) }),
};

describe('a colour profile', () => {
  for (const [what, profile] of Object.entries(srgbProfiles)) test(`with ${what} is sRGB`, () => assert.ok(isSrgb(profile)));
  test('that libvips embeds as sRGB is sRGB', async () => assert.ok(isSrgb((await sharp(await small().withIccProfile('srgb').jpeg().toBuffer()).metadata()).icc!)));

  const good = srgbProfiles['a parametric curve']!;
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = value;
    return copy;
  };
  const others: Record<string, Buffer> = {
    'a gamma of 2.2': iccProfile({ curve: tableOf(1, () => 2.2) }),
    'linear light': iccProfile({ curve: tableOf(0, curve) }),
    'a coarse table': iccProfile({ curve: tableOf(16, curve) }),
    'a curve that is a little brighter': iccProfile({ curve: tableOf(1024, (v) => curve(v) ** 0.98) }),
    'the colours of Adobe RGB': iccProfile({ curve: parametric(0, [2.2]), columns: [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]] }),
    'red and blue exchanged': iccProfile({ curve: tableOf(1024, curve), columns: [[0.14307, 0.06061, 0.7141], [0.38515, 0.71687, 0.09708], [0.43607, 0.22249, 0.01392]] }),
    'tables of its own': iccProfile({ curve: tableOf(1024, curve), more: { A2B0: Buffer.alloc(32) } }),
    'a curve that is missing': iccProfile({ curve: tableOf(1024, curve), without: 'gTRC' }),
    'a curve of a kind that nobody knows': iccProfile({ curve: parametric(9, [1]) }),
    'another size than it says': changed(3, 1),
    'another class': changed(12, 0x70),
    'more tags than there are': changed(130, 0xff),
    'a tag beyond its end': changed(132 + 4, 0xff),
  };
  for (const [what, profile] of Object.entries(others)) test(`with ${what} is not`, () => assert.equal(isSrgb(profile), false));
  test('cut off anywhere is not, and breaks nothing', () => {
    for (let length = 0; length < good.length; length += 7) assert.equal(isSrgb(good.subarray(0, length)), false);
  });
});

test('the statistics by the kernels are those of measureQuality', async () => {
  const own = kernels();
  // Rows that end in each part of a group of four, and pictures without a sample that has four neighbours.
  for (const [width, height] of [[640, 480], [333, 251], [1, 1], [2, 5], [3, 3], [255, 7], [257, 100], [1, 3000]] as const) {
    const pixels = await sized('coffee', width, height).raw().toBuffer();
    own.picture(pixels.length).set(pixels);
    const [by, expected] = [qualityOf(own, { width, height }), measureQuality({ pixels, width, height })];
    for (const figure of ['luma', 'contrast', 'sharpness', 'saturation', 'entropy'] as const) {
      assert.ok(Math.abs(by[figure]! - expected[figure]!) <= 1e-5 * (1 + expected[figure]!), `${figure} of ${width} x ${height}: ${by[figure]}, not ${expected[figure]}`);
    }
  }
});

describe('a plain JPEG, decoded fast', () => {
  for (const name of ['astronaut', 'coffee', 'chelsea']) {
    for (const [width, height, quality, chromaSubsampling] of [
      [640, 480, 80, '4:2:0'], [640, 480, 95, '4:4:4'], [480, 640, 50, '4:2:0'], [1280, 720, 85, '4:2:0'], [333, 251, 90, '4:2:0'], [61, 47, 80, '4:4:4'],
    ] as const) {
      test(`${name} at ${width} x ${height}, quality ${quality}, ${chromaSubsampling}: as libvips has it`, async () => {
        const bytes = await sized(name, width, height).jpeg({ quality, chromaSubsampling }).toBuffer();
        const found = plainJpeg(bytes)!;
        assert.deepEqual(found, { width, height, exif: false, grey: false });
        const [quick, slow] = [fast(bytes, found, inputs), await slowly(bytes)];
        quick.tensors.forEach((tensor, i) => alike(tensor, slow.tensors[i]!.pixels, models[i]!.card.name));
        assert.ok(Math.abs(quick.quality.luma - slow.quality.luma) < 0.3, 'luma');
        assert.ok(Math.abs(quick.quality.contrast - slow.quality.contrast) < 0.3, 'contrast');
        assert.ok(Math.abs(quick.quality.sharpness - slow.quality.sharpness) <= 0.03 * slow.quality.sharpness + 1, 'sharpness');
      });
    }
  }

  for (const name of ['astronaut', 'coffee', 'chelsea']) {
    for (const [width, height, quality] of [[640, 480, 80], [333, 251, 90], [61, 47, 50], [9, 9, 90]] as const) {
      test(`${name} in grey at ${width} x ${height}, quality ${quality}: as libvips has it`, async () => {
        const bytes = await sized(name, width, height).greyscale().toColourspace('b-w').jpeg({ quality }).toBuffer();
        const found = plainJpeg(bytes)!;
        assert.deepEqual(found, { width, height, exif: false, grey: true });
        const [quick, slow] = [fast(bytes, found, inputs), await slowly(bytes)];
        quick.tensors.forEach((tensor, i) => {
          alike(tensor, slow.tensors[i]!.pixels, models[i]!.card.name);
          for (let at = 0; at < tensor.length; at += 3) assert.ok(tensor[at] === tensor[at + 1] && tensor[at] === tensor[at + 2]);
        });
        assert.ok(Math.abs(quick.quality.luma - slow.quality.luma) < 0.3, `luma ${quick.quality.luma} ${slow.quality.luma}`);
        assert.ok(Math.abs(quick.quality.contrast - slow.quality.contrast) < 0.3, 'contrast');
        assert.ok(Math.abs(quick.quality.sharpness - slow.quality.sharpness) <= 0.03 * slow.quality.sharpness + 1, 'sharpness');
      });
    }
  }

  for (const [what, profile] of Object.entries(srgbProfiles)) {
    test(`with ${what}: as libvips converts it`, async () => {
      for (const name of ['astronaut', 'coffee', 'chelsea']) {
        const bytes = withProfile(await sized(name, 640, 480).jpeg({ quality: 90 }).toBuffer(), profile);
        const [quick, slow] = [fast(bytes, plainJpeg(bytes)!, inputs), await slowly(bytes)];
        quick.tensors.forEach((tensor, i) => alike(tensor, slow.tensors[i]!.pixels, `${name} ${models[i]!.card.name}`));
        assert.ok(Math.abs(quick.quality.luma - slow.quality.luma) < 0.3, 'luma');
      }
    });
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
    'greyscale': () => small().greyscale().toColourspace('b-w').jpeg().toBuffer(),
    'greyscale with factors of 2': async () => greyFactors(await small().greyscale().toColourspace('b-w').jpeg().toBuffer(), 0x22),
    'the sRGB profile that libvips embeds': () => small().withIccProfile('srgb').jpeg().toBuffer(),
    'a profile of sRGB as a table': async () => withProfile(plain, srgbProfiles['a table of 1024 values']!),
    'a comment': async () => withSegment(plain, 0xfe, Buffer.from('hello')),
    'Adobe\'s YCbCr': async () => withSegment(plain, 0xee, Buffer.from('Adobe\0\x64\0\0\0\0\x01', 'latin1')),
  };
  const no: Record<string, () => Promise<Buffer>> = {
    'progressive': () => small().jpeg({ progressive: true }).toBuffer(),
    'CMYK': () => small().toColourspace('cmyk').jpeg().toBuffer(),
    'the profile of another colour space': () => small().withIccProfile('p3').jpeg().toBuffer(),
    'a profile in two parts': async () => withProfile(plain, srgbProfiles['a table of 1024 values']!, 1, 2),
    'two profiles': async () => withProfile(withProfile(plain, srgbProfiles['a table of 1024 values']!), srgbProfiles['a table of 1024 values']!),
    'greyscale with a profile': async () => withProfile(await small().greyscale().toColourspace('b-w').jpeg().toBuffer(), srgbProfiles['a table of 1024 values']!),
    'two components': async () => withSegment(Buffer.from('ffd8ffda0008020100020011', 'hex'), 0xc0, Buffer.from('0801400140020111000211', 'hex')),
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

});

describe('libjpeg-turbo', () => {
  const decoders: Record<string, JpegDecoder | null> = { 'by its own interface': accurateDecoder(), 'by the binding': bindingDecoder() };
  for (const [how, decoder] of Object.entries(decoders)) {
    // Every Linux has the library as a file; elsewhere there is the binding alone.
    const skip = decoder === null && process.platform !== 'linux' && `no library of its own on ${process.platform}`;
    test(`${how}: a size other than the header's reader found is not believed, and nothing is written`, { skip }, () => {
      const pixels = Buffer.alloc(320 * 241 * 3, 7);
      assert.throws(() => decoder!.decode(plain, pixels, { width: 320, height: 241 }), /320 x 240/);
      const fewer = pixels.subarray(0, 100 * 100 * 3);
      assert.throws(() => decoder!.decode(plain, fewer, { width: 100, height: 100 }), /320 x 240|buffer/i);
      if (decoder!.accurate) assert.ok(pixels.every((byte) => byte === 7));
    });
    test(`${how}: what is torn or no JPEG is refused, and the next picture is decoded`, { skip }, () => {
      const [pixels, size] = [Buffer.alloc(320 * 240 * 3), { width: 320, height: 240 }];
      assert.throws(() => decoder!.decode(plain.subarray(0, plain.length / 2), pixels, size));
      assert.throws(() => decoder!.decode(Buffer.from('no picture at all'), pixels, size));
      assert.throws(() => decoder!.decode(Buffer.alloc(0), pixels, size));
      decoder!.decode(plain, pixels, size);
    });
  }

  test('by its own interface: no room for the pixels, no decoding', { skip: decoders['by its own interface'] === null && process.platform !== 'linux' }, () => {
    assert.throws(() => accurateDecoder()!.decode(plain, Buffer.alloc(320 * 239 * 3), { width: 320, height: 240 }), /no room/);
  });

  for (const chromaSubsampling of ['4:2:0', '4:4:4'] as const) {
    test(`by its own interface, ${chromaSubsampling}: the pixels that libvips has, bit by bit`, { skip: decoders['by its own interface'] === null && process.platform !== 'linux' }, async () => {
      for (const [name, width, height] of [['astronaut', 640, 480], ['coffee', 333, 251], ['chelsea', 61, 47]] as const) {
        const bytes = await sized(name, width, height).jpeg({ quality: 85, chromaSubsampling }).toBuffer();
        const pixels = Buffer.alloc(width * height * 3);
        accurateDecoder()!.decode(bytes, pixels, { width, height });
        assert.ok(pixels.equals(await sharp(bytes).raw().toBuffer()), name);
      }
    });
  }

  test('by the binding: tensors within the same bounds', async () => {
    const bytes = await sized('astronaut', 640, 480).jpeg({ quality: 85 }).toBuffer();
    const slow = await slowly(bytes);
    fastCutter(bindingDecoder())(bytes, plainJpeg(bytes)!, inputs).tensors.forEach((tensor, i) => alike(tensor, slow.tensors[i]!.pixels, models[i]!.card.name));
  });
});

describe('the cutter', () => {
  const pool = fastJpegPool();
  /** Pictures that the fast path was asked for: its tensors do not tell. */
  let asked = 0;
  const both = cutter(() => inputs, limits, { ...pool, cut: (...picture) => ((asked += 1), pool.cut(...picture)) });
  after(() => both.stop());

  test('takes the fast path for a plain JPEG, and has the tensors of the slow one, bit by bit', async () => {
    const before = asked;
    const { tensors, quality } = await both.cut(plain, inputs);
    assert.equal(asked, before + 1);
    assert.deepEqual(quality, fast(plain, { width: 320, height: 240 }, inputs).quality);
    const slow = await slowly(plain);
    tensors.forEach(({ pixels }, i) => assert.ok(pixels.equals(slow.tensors[i]!.pixels)));
  });

  for (const [what, make] of Object.entries({
    'a progressive JPEG': () => small().jpeg({ progressive: true }).toBuffer(),
    'a picture that has to be turned': async () => disoriented(await small().png().toBuffer(), 6, 'jpeg'),
    'a picture of another colour space': () => small().withIccProfile('p3').jpeg().toBuffer(),
    'a picture that is shrunk while decoding': () => sized('coffee', 4000, 3000).jpeg().toBuffer(),
    'a picture of many pixels and few lines': () => sized('coffee', 16000, 300).jpeg().toBuffer(),
  })) {
    test(`takes the slow path for ${what}`, async () => {
      const bytes = await make();
      const before = asked;
      const [found, expected] = [await both.cut(bytes, inputs), await slowly(bytes)];
      assert.equal(asked, before);
      assert.deepEqual(found.quality, expected.quality);
      found.tensors.forEach((tensor, i) => assert.deepEqual(tensor, expected.tensors[i]));
    });
  }

  test('the geometry is the same on both paths', async () => {
    const [found, expected] = [await both.cut(plain, inputs), await slowly(plain)];
    assert.deepEqual(found.tensors.map(({ geometry }) => geometry), expected.tensors.map(({ geometry }) => geometry));
  });

  test('refuses by pixels before it decodes', () =>
    assert.rejects(cutter(() => inputs, { ...limits, maxPixels: 1000 }).cut(plain, inputs), (error) => error instanceof SaccadeError && error.code === 'too_many_pixels'));

  test('says of a truncated one what libvips says', () =>
    assert.rejects(both.cut(plain.subarray(0, plain.length >> 1), inputs), (error) => error instanceof SaccadeError && error.code === 'undecodable_image'));

  test('40 at once are 40 answers, each its own', async () => {
    const pictures = await Promise.all(Array.from({ length: 40 }, (_, i) => sized('chelsea', 200 + 7 * i, 150 + 5 * i).jpeg().toBuffer()));
    const all = await Promise.all(pictures.map((bytes) => both.cut(bytes, inputs)));
    all.forEach(({ tensors }, i) => assert.equal(tensors[0]!.geometry.image_width, 200 + 7 * i));
  });
});

describe('the pool', () => {
  test('cuts anew into a tensor that was given back, and into none that was not', async () => {
    const pool = fastJpegPool(1);
    await pool.start();
    const cut = async (bytes: Buffer) => (await pool.cut(bytes, { width: 320, height: 240 }, inputs))!.tensors;
    const [first, kept] = [await cut(plain), await cut(plain)];
    const [given, strange] = [first[0]!, new Uint8Array(kept[0]!.length)];
    for (const tensor of [given, strange]) tensor.fill(7);
    for (const tensor of [given, given, strange]) pool.reuse(tensor);
    const expected = fast(plain, { width: 320, height: 240 }, inputs).tensors;
    const later = [await cut(plain), await cut(plain)];
    for (const again of later) again.forEach((tensor, i) => assert.deepEqual(tensor, expected[i]));
    assert.deepEqual(later.map((tensors) => tensors.some(({ buffer }) => buffer === given.buffer)), [true, false]);
    // All others are as they were.
    assert.ok(strange.every((byte) => byte === 7));
    [first[1]!, ...kept].forEach((tensor, i) => assert.deepEqual(tensor, [expected[1]!, ...expected][i]));
    await pool.stop();
  });

  test('what is under way when it stops is answered: the slow path takes it over', async () => {
    const pool = fastJpegPool(2);
    await pool.start();
    const answers = Array.from({ length: 8 }, () => pool.cut(plain, { width: 320, height: 240 }, inputs));
    await pool.stop();
    for (const answer of await Promise.all(answers)) assert.ok(answer === null || answer.tensors.length === inputs.length);
  });
});
