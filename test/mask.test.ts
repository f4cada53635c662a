/** Faces covered in what is shown and kept: by the detector that comes with Saccade, on pictures a camera might send. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { openRepository } from '../connectors/models/repository.ts';
import type { Clock } from '../connectors/ports.ts';
import { readConfig } from '../processors/config.ts';
import type { Engine } from '../processors/infer/engine.ts';
import { findBoxes } from '../processors/infer/detection.ts';
import { iou, type ScoredBox } from '../processors/infer/nms.ts';
import { type Box, cover, widened } from '../processors/mask/cover.ts';
import { coveringFor, type MaskPolicy, masksAnybody } from '../processors/mask/policy.ts';
import { viewsOf } from '../processors/mask/views.ts';
import { findFaces, type Masking, openMasking } from '../processors/masking.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { type Bitmap, decodeImage } from '../processors/preprocess/decode.ts';
import { cutTensor } from '../processors/preprocess/tensor.ts';
import type { Model } from '../schemas/model-card.ts';
import { disoriented, photo, withSegment } from './reference/pictures.ts';
import { fedPage } from './support/fed-page.ts';
import { eventually } from './support/pipeline.ts';
import { engineWith, modelsNamed, modelsRoot } from './support/models.ts';

const limits = preprocessConfig.parse({});
const settingsWith = (env: NodeJS.ProcessEnv) => readConfig([], env, '/nonexistent').settings;
const decode = (bytes: Buffer): Promise<Bitmap> => decodeImage(bytes, null, limits);

let at = 0;
const clock: Clock = { now: () => at, sleep: async () => {} };
let engine: Engine;
let model: Model;
before(async () => {
  const [faces] = await modelsNamed('ultraface');
  // As masking itself looks, which is lower than the card's 0.7: what is covered must not be nearly a face either.
  model = { ...faces!, card: { ...faces!.card, thresholds: { ...faces!.card.thresholds, score: 0.4 } } };
  engine = await engineWith([model], clock);
});
after(() => engine.close());

const masking = (env: NodeJS.ProcessEnv, models = modelsRoot, shared: Engine | null = engine): Masking =>
  openMasking({ settings: settingsWith({ SACCADE_MODELS_DIR: models, ...env }), repository: openRepository(models), engine: shared, clock });

const facesIn = async (bytes: Buffer, least = 0): Promise<readonly (Box & { score: number })[]> =>
  (await findFaces({ engine, model }, await decode(bytes))).filter(({ score }) => score >= least);

/** Mean square of the difference between neighbours, across and down: what fine detail there is in a part of a picture. */
function detail({ pixels, width }: Bitmap, { left, top, width: wide, height: high }: { left: number; top: number; width: number; height: number }): number {
  let sum = 0;
  for (let y = top; y < top + high - 1; y++) {
    for (let x = left; x < left + wide - 1; x++) {
      const i = (y * width + x) * 3 + 1;
      sum += (pixels[i]! - pixels[i + 3]!) ** 2 + (pixels[i]! - pixels[i + width * 3]!) ** 2;
    }
  }
  return sum / ((wide - 1) * (high - 1));
}

/** Whether two pictures are the same but for a part and what of it bleeds into a JPEG's blocks of colour, which reach 16 pixels. */
function sameAround(a: Bitmap, b: Bitmap, { left, top, width, height }: { left: number; top: number; width: number; height: number }): boolean {
  assert.deepEqual([a.width, a.height], [b.width, b.height]);
  const row = (y: number, from: number, to: number) => [a, b].map(({ pixels }) => pixels.subarray((y * a.width + from) * 3, (y * a.width + to) * 3)) as [Buffer, Buffer];
  for (let y = 0; y < a.height; y++) {
    const beside = y < top - 16 || y >= top + height + 16;
    const parts = beside ? [row(y, 0, a.width)] : [row(y, 0, Math.max(0, left - 16)), row(y, Math.min(a.width, left + width + 16), a.width)];
    if (!parts.every(([one, other]) => one.equals(other))) return false;
  }
  return true;
}

describe('the astronaut', () => {
  for (const covering of ['blur', 'pixelate'] as const) {
    for (let orientation = 1; orientation <= 8; orientation++) {
      test(`${covering}, EXIF orientation ${orientation}: nobody is left in it, and all else is as it was`, async () => {
        const bytes = orientation === 1 ? photo('astronaut') : await disoriented(photo('astronaut'), orientation, 'jpeg');
        const [face, ...more] = await facesIn(bytes, 0.7);
        assert.ok(face && more.length === 0);
        const shown = await masking({ SACCADE_MASK_FACES: covering }).masker.mask(bytes, 'default');
        assert.equal(shown!.contentType, 'image/jpeg');
        assert.deepEqual(await facesIn(shown!.bytes), []);

        const [was, is] = await Promise.all([decode(bytes), decode(shown!.bytes)]);
        const region = widened(face, 0.25, was)!;
        const left = detail(is, region) / detail(was, region);
        assert.ok(left < 0.25, `${left} of the detail is left`);
        // All that the rest has lost is what it loses by being written as a JPEG once more.
        const again = await decode(await sharp(was.pixels, { raw: { width: was.width, height: was.height, channels: 3 } }).jpeg({ quality: 90 }).toBuffer());
        assert.ok(sameAround(again, is, region));
        assert.ok(!sameAround(again, is, { left: 0, top: 0, width: 1, height: 1 }), 'the face is not');
      });
    }
  }

  test('is covered within as many averages as there are cells', async () => {
    const bitmap = await decode(photo('astronaut'));
    const region = { left: 150, top: 30, width: 160, height: 200 };
    await cover(bitmap, [region], 'pixelate');
    const colours = new Set<string>();
    for (let y = region.top; y < region.top + region.height; y++) {
      for (let x = region.left; x < region.left + region.width; x++) colours.add(bitmap.pixels.toString('hex', (y * 512 + x) * 3, (y * 512 + x) * 3 + 3));
    }
    assert.ok(colours.size <= 4 * 4, `${colours.size} colours`);
  });

  test('is found small in a large picture, and squeezed in a tall one', async () => {
    const large = await sharp(photo('coffee')).resize(2400, 1800, { fit: 'fill' })
      .composite([{ input: await sharp(photo('astronaut')).resize(220, 220).toBuffer(), left: 1900, top: 90 }]).jpeg().toBuffer();
    const tall = await sharp(photo('chelsea')).resize(600, 1500, { fit: 'fill' })
      .composite([{ input: await sharp(photo('astronaut')).resize(300, 300).toBuffer(), left: 150, top: 900 }]).jpeg().toBuffer();
    for (const bytes of [large, tall]) {
      assert.ok((await facesIn(bytes, 0.9)).length >= 1);
      const shown = await masking({ SACCADE_MASK_FACES: 'pixelate' }).masker.mask(bytes, 'default');
      assert.deepEqual(await facesIn(shown!.bytes), []);
    }
  });
});

interface Reference {
  readonly score: number;
  readonly views: readonly {
    readonly picture: string; readonly left: number; readonly top: number; readonly width: number; readonly height: number; readonly mirrored: boolean;
    readonly faces: readonly { readonly score: number; readonly box: readonly [number, number, number, number] }[];
  }[];
}
const reference: Reference = JSON.parse(readFileSync(new URL('./reference/faces.json', import.meta.url), 'utf8'));

describe('beside an independent implementation (Pillow, NumPy, ONNX Runtime for Python)', () => {
  /** As in test/infer.test.ts: two resizers that differ by rounding. */
  const tolerance = 0.03;
  for (const { picture, mirrored, faces, ...region } of reference.views) {
    test(`${picture}${mirrored ? ', mirrored' : ''}, ${region.width} x ${region.height} at ${region.left}, ${region.top}: the same faces`, async () => {
      const part = sharp(photo(picture)).extract(region);
      const view = await decode(await sharp(await part.png().toBuffer()).flop(mirrored).png().toBuffer());
      const { pixels, geometry } = await cutTensor(view, model.card.input);
      const [result] = await engine.run(model, [{ pixels, source: '', urgent: false, deadline: null }]);
      assert.ok(result?.ok);
      const found = findBoxes(result.outputs.faces!, 5, model, geometry);
      const expected = faces.map(({ score, box: [x1, y1, x2, y2] }) => ({ score, x1, y1, x2, y2, class_id: 0 }));
      // What lies within the tolerance of the threshold may be on either side of it.
      const sure = ({ score }: { score: number }): boolean => score > reference.score + tolerance;
      const same = (a: ScoredBox, b: ScoredBox): boolean => iou(a, b) >= 0.9 && Math.abs(a.score - b.score) <= tolerance;
      for (const one of expected.filter(sure)) assert.ok(found.some((other) => same(one, other)), `${JSON.stringify(one)} is not in ${JSON.stringify(found)}`);
      for (const one of found.filter(sure)) assert.ok(expected.some((other) => same(one, other)), `${JSON.stringify(one)} is not in the reference`);
    });
  }

  test('which found faces, and pictures without one', () => {
    const counts = reference.views.map(({ faces }) => faces.length);
    assert.ok(counts.filter((count) => count > 0).length >= 6 && counts.includes(0), String(counts));
  });
});

describe('what comes with a picture', () => {
  test('is left behind, also where there is no face: a smaller picture, a place', async () => {
    const bytes = withSegment(photo('chelsea'), 0xe1, Buffer.concat([Buffer.from('Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0', 'latin1'), photo('astronaut').subarray(0, 20_000)]));
    const shown = await masking({ SACCADE_MASK_FACES: 'blur' }).masker.mask(bytes, 'default');
    assert.ok(shown!.bytes.indexOf('Exif') < 0 && shown!.bytes.indexOf(photo('astronaut').subarray(2000, 2100)) < 0);
    const { exif, xmp, icc, width } = await sharp(shown!.bytes).metadata();
    assert.deepEqual([exif, xmp, icc, width], [undefined, undefined, undefined, 451]);
  });

  test('its format stays', async () => {
    const { masker } = masking({ SACCADE_MASK_FACES: 'blur' });
    for (const format of ['png', 'webp'] as const) {
      const shown = await masker.mask(await sharp(photo('astronaut')).resize(256).toFormat(format).toBuffer(), 'default');
      assert.equal(shown!.contentType, `image/${format}`);
      assert.equal((await sharp(shown!.bytes).metadata()).format, format);
    }
  });
});

describe('whose faces', () => {
  const policy: MaskPolicy = { usual: 'off', tenants: new Map([['acme', 'blur'], ['lab', 'off']]) };

  test('is the tenant\'s to say, else the setting\'s, and of nobody knows whom the strictest\'s', () => {
    assert.deepEqual(['acme', 'lab', 'other', null].map((tenant) => coveringFor(policy, tenant)), ['blur', 'off', 'off', 'blur']);
    assert.equal(coveringFor({ ...policy, usual: 'pixelate' }, null), 'pixelate');
    assert.deepEqual([masksAnybody(policy), masksAnybody({ ...policy, tenants: new Map() })], [true, false]);
  });

  test('a picture is shown as it came where the policy is off, and no detector is asked for', async () => {
    const { masker, degraded } = masking({ SACCADE_MASK_TENANTS: 'acme=blur' }, '/nowhere');
    assert.equal(await masker.mask(photo('astronaut'), 'default'), null);
    await assert.rejects(masker.mask(photo('astronaut'), 'acme'), { code: 'masking_unavailable' });
    await assert.rejects(masker.mask(photo('astronaut'), null), { code: 'masking_unavailable' });
    assert.match(degraded().faces!, /no picture is shown/);
  });

  test('a setting that cannot be is refused by name', () => {
    for (const [env, says] of [
      [{ SACCADE_MASK_FACES: 'squares' }, /SACCADE_MASK_FACES is 'squares'/],
      [{ SACCADE_MASK_TENANTS: 'acme' }, /SACCADE_MASK_TENANTS is 'acme'.*TENANT=blur/],
      [{ SACCADE_MASK_TENANTS: 'a=blur,a=off' }, /SACCADE_MASK_TENANTS.*twice/],
      [{ SACCADE_MASK_SCORE: '0' }, /SACCADE_MASK_SCORE/],
      [{ SACCADE_MASK_RAW_HOURS: '0' }, /SACCADE_MASK_RAW_HOURS/],
    ] as const) {
      assert.throws(() => settingsWith(env), says);
    }
  });
});

describe('where faces cannot be covered, nothing is shown', () => {
  let folder: string;
  before(async () => void (folder = await mkdtemp(join(tmpdir(), 'saccade-mask-'))));
  after(() => rm(folder, { recursive: true, force: true }));
  const on = { SACCADE_MASK_FACES: 'blur' };
  const refuses = async ({ masker, degraded }: Masking, says: RegExp): Promise<void> => {
    await assert.rejects(masker.mask(photo('astronaut'), 'default'), (error: Error & { code?: string }) => error.code === 'masking_unavailable' && says.test(error.message));
    const told = degraded().faces!;
    assert.match(told, says);
    // Asked again at once it says the same.
    await assert.rejects(masker.mask(photo('astronaut'), 'default'), { code: 'masking_unavailable' });
    assert.equal(degraded().faces, told);
  };

  test('without the model, until it is there', async () => {
    const models = join(folder, 'models');
    const without = masking(on, models);
    await without.prepare();
    assert.match(without.degraded().faces!, /no such model/);
    await refuses(without, /no such model/);
    await cp(join(modelsRoot, 'ultraface'), join(models, 'ultraface'), { recursive: true });
    at += 60_000;
    assert.ok(await without.masker.mask(photo('astronaut'), 'default'));
    assert.deepEqual(without.degraded(), {});
    await without.close();
  });

  test('with a model for something else', () => refuses(masking({ ...on, SACCADE_MASK_MODEL: 'nanodet' }), /SACCADE_MASK_MODEL is nanodet, a model for detection/));

  test('with a model that does not find the face it is known by', async () => {
    const models = join(folder, 'blind');
    await cp(join(modelsRoot, 'ultraface'), join(models, 'ultraface'), { recursive: true });
    const card = join(models, 'ultraface', '1', 'card.json');
    const known = JSON.parse(await readFile(card, 'utf8'));
    known.golden.expect[0].box = [400, 400, 500, 500];
    await writeFile(card, JSON.stringify(known));
    const own = masking(on, models, null);
    await refuses(own, /golden image/);
    await own.close();
  });

  test('with an engine that is gone', async () => {
    const gone = await engineWith([], clock);
    const lost = masking(on, modelsRoot, gone);
    await lost.prepare();
    assert.deepEqual(lost.degraded(), {});
    await gone.close();
    await refuses(lost, /engine|stopping/i);
  });

  test('and of what cannot be decoded neither', async () => {
    const { masker, degraded } = masking(on);
    await assert.rejects(masker.mask(photo('astronaut').subarray(0, 9_000), 'default'), { code: 'undecodable_image' });
    await assert.rejects(masker.mask(Buffer.from('no picture'), 'default'), { code: 'unsupported_media_type' });
    assert.deepEqual(degraded(), {}, 'that is the picture\'s fault');
  });
});

describe('the page', { timeout: 60_000 }, () => {
  /** What GET answers of the picture of a frame with the astronaut. */
  async function fetched({ masker }: Masking): Promise<Response> {
    const page = await fedPage({ masker });
    try {
      page.live.of('default').subscribe(() => {});
      const answer = (): Promise<Response> => fetch(`${page.url}/live/frames/1`);
      await eventually(async () => {
        // Only what comes after the first viewer is read.
        await page.frame({ id: '1', source: 'gate', image: photo('astronaut') });
        return (await answer()).status !== 404;
      }, 'the picture');
      return await answer();
    } finally {
      await page.stop();
    }
  }

  test('is sent pictures without faces', async () => {
    const response = await fetched(masking({ SACCADE_MASK_FACES: 'pixelate' }));
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'image/jpeg']);
    assert.deepEqual(await facesIn(Buffer.from(await response.arrayBuffer())), []);
  });

  test('is sent none, and told why, where faces cannot be covered', async () => {
    const response = await fetched(masking({ SACCADE_MASK_FACES: 'pixelate' }, '/nowhere'));
    assert.equal(response.status, 503);
    const problem = (await response.json()) as { code: string; title: string };
    assert.equal(problem.code, 'masking_unavailable');
    assert.match(problem.title, /not shown/);
  });
});

describe('views', () => {
  const input = { width: 320, height: 240 };
  test('of a small picture of the detector\'s shape: the whole alone', () => assert.deepEqual(viewsOf({ width: 640, height: 480 }, input), [{ left: 0, top: 0, width: 640, height: 480 }]));

  for (const [width, height] of [[1920, 1080], [1080, 1920], [4000, 3000], [3000, 4000], [16_000, 300], [1, 5000]] as const) {
    test(`of ${width} x ${height} lie in it, and a face of a sixth of one is whole in one`, () => {
      const views = viewsOf({ width, height }, input).slice(1);
      for (const { left, top, width: wide, height: high } of views) assert.ok(left >= 0 && top >= 0 && wide >= 1 && high >= 1 && left + wide <= width && top + high <= height && Number.isInteger(wide + high + left + top));
      const side = Math.min(...views.map((view) => Math.min(view.width, view.height))) / 6;
      for (let i = 0; i < 500; i++) {
        const [x, y] = [((i * 7919) % 500) / 499 * Math.max(0, width - side), ((i * 104_729) % 500) / 499 * Math.max(0, height - side)];
        assert.ok(views.some((v) => v.left <= x && v.top <= y && v.left + v.width >= x + side && v.top + v.height >= y + side), `${x}, ${y}`);
      }
      assert.ok(views.length <= 24, `${views.length} views`);
    });
  }
});

describe('the part that is covered', () => {
  const picture = { width: 100, height: 80 };
  test('is the box and its margin, in whole pixels', () => assert.deepEqual(widened({ x1: 40.5, y1: 20.5, x2: 60.5, y2: 40.5 }, 0.25, picture), { left: 35, top: 15, width: 31, height: 31 }));
  test('ends where the picture ends', () => assert.deepEqual(widened({ x1: -5, y1: 70, x2: 10, y2: 90 }, 0.5, picture), { left: 0, top: 60, width: 18, height: 20 }));
  test('is none outside of it', () => assert.equal(widened({ x1: 200, y1: 0, x2: 210, y2: 10 }, 0.25, picture), null));
  test('may be a single pixel', async () => {
    const bitmap = { ...picture, pixels: Buffer.alloc(100 * 80 * 3, 7) };
    await cover(bitmap, [{ left: 99, top: 79, width: 1, height: 1 }, { left: 0, top: 0, width: 1, height: 80 }], 'blur');
    assert.ok(bitmap.pixels.every((value) => value === 7));
  });
});
