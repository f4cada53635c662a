/**
 * Answers beside those of an independent implementation (Pillow, NumPy, ONNX Runtime for Python) on sixty parts of the photos,
 * by both ways to decode: how often they are the same. How the reference was made is told by its script.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { bestLabels } from '../processors/infer/classification.ts';
import { findBoxes } from '../processors/infer/detection.ts';
import type { Engine } from '../processors/infer/engine.ts';
import { iou } from '../processors/infer/nms.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { cutter } from '../processors/preprocess/cutter.ts';
import type { Model } from '../schemas/model-card.ts';
import { photo } from './reference/pictures.ts';
import { engineWith, modelsNamed, row } from './support/models.ts';

interface Part {
  readonly photo: string;
  readonly region: readonly [left: number, top: number, width: number, height: number];
  /** A class, or boxes in pixels of the part. */
  readonly answers: Readonly<Record<string, number | readonly Box[]>>;
}
interface Box {
  readonly class_id: number;
  readonly score: number;
  readonly box: readonly [number, number, number, number];
}

const { parts }: { parts: Part[] } = JSON.parse(readFileSync(new URL('./reference/agreement.json', import.meta.url), 'utf8'));
/** Of the best classes, and of the boxes. Anything less would be felt by who compares with a notebook of their own. */
const share = 0.95;
const clock = { now: () => 5_000, sleep: async () => {} };
/** Boxes whose score is this near to the threshold may be on either side of it. */
const nearThreshold = 0.01;

const models = [...(await modelsNamed('efficientnet-lite0@1', 'nanodet')), ...(await modelsNamed('efficientnet-lite0@2'))];
const inputs = models.map(({ card }) => card.input);
const keyOf = ({ card }: Model): string => `${card.name}/${card.version}`;
let engines: Map<string, Engine>;
const cuts = cutter(() => inputs, preprocessConfig.parse({}));
before(async () => {
  await cuts.start();
  engines = new Map(await Promise.all(models.map(async (model) => [keyOf(model), await engineWith([model], clock, { workers: 1 })] as const)));
});
after(async () => {
  await cuts.stop();
  for (const engine of engines.values()) await engine.close();
});

const pngOf = ({ photo: name, region: [left, top, width, height] }: Part): Promise<Buffer> => sharp(photo(name)).extract({ left, top, width, height }).png().toBuffer();

async function outputs(model: Model, image: Buffer) {
  const { tensors } = await cuts.cut(image, [model.card.input]);
  const [result] = await engines.get(keyOf(model))!.run(model, [row(tensors[0]!.pixels)]);
  assert.ok(result?.ok);
  return { of: result.outputs, geometry: tensors[0]!.geometry };
}

describe('on parts of the photos, as files without loss', () => {
  for (const model of models.filter(({ card }) => card.task === 'classification')) {
    test(`${keyOf(model)}: the best class is the reference's`, async () => {
      const others: string[] = [];
      for (const part of parts) {
        const { of } = await outputs(model, await pngOf(part));
        const [best] = bestLabels(of.probabilities!, model);
        if (best!.class_id !== part.answers[keyOf(model)]) others.push(`${part.photo} at ${part.region}: ${best!.label}`);
      }
      assert.ok(parts.length >= 60 && others.length <= (1 - share) * parts.length, `${others.length} of ${parts.length} are others: ${others.join('; ')}`);
    });
  }

  test('nanodet: the boxes are the reference\'s', async () => {
    const model = models.find(({ card }) => card.name === 'nanodet')!;
    const threshold = model.card.thresholds.score + nearThreshold;
    let [all, found] = [0, 0];
    for (const part of parts) {
      const { of, geometry } = await outputs(model, await pngOf(part));
      const ours = findBoxes(of.detections!, 6, model, geometry);
      const theirs = (part.answers[keyOf(model)] as Box[]).map(({ class_id, score, box: [x1, y1, x2, y2] }) => ({ class_id, score, x1, y1, x2, y2 }));
      // Both ways: none is missing, and none is made up.
      for (const [some, others] of [[theirs, ours], [ours, theirs]] as const) {
        for (const one of some.filter(({ score }) => score > threshold)) {
          all += 1;
          if (others.some((other) => other.class_id === one.class_id && iou(other, one) >= 0.9)) found += 1;
        }
      }
    }
    assert.ok(all > 60 && found >= share * all, `${found} of ${all}`);
  });
});

test('the two ways to decode a JPEG have the same answers, number by number', async () => {
  for (const name of ['astronaut', 'coffee', 'chelsea']) {
    // Decoded by libjpeg-turbo; as a PNG, by sharp.
    const plain = await sharp(photo(name)).resize(640, 480, { fit: 'fill' }).jpeg({ quality: 85 }).toBuffer();
    const [quick, slow] = await Promise.all([plain, await sharp(plain).png().toBuffer()].map((image) => cuts.cut(image, inputs)));
    quick!.tensors.forEach(({ pixels }, i) => assert.ok(pixels.equals(slow!.tensors[i]!.pixels), `${name}, ${keyOf(models[i]!)}`));
  }
});
