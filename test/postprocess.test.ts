import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import { bestLabels, embeddingBytes } from '../processors/infer/classification.ts';
import { findBoxes } from '../processors/infer/detection.ts';
import { iou, suppress, type ScoredBox } from '../processors/infer/nms.ts';
import type { Model } from '../schemas/model-card.ts';
import type { Geometry } from '../schemas/records.ts';

const [lite, nano, faces] = await loadModels(fileURLToPath(new URL('../models', import.meta.url)), ['efficientnet-lite0', 'nanodet', 'ultraface']);
const box = (x1: number, y1: number, x2: number, y2: number, score = 0.5, class_id = 0): ScoredBox => ({ x1, y1, x2, y2, score, class_id });
const failed = (error: unknown): boolean => error instanceof SaccadeError && error.code === 'inference_failed';

describe('overlap', () => {
  test('is 1 with itself, 0 apart or touching, the same both ways', () => {
    const a = box(0, 0, 2, 2);
    assert.equal(iou(a, a), 1);
    assert.equal(iou(a, box(5, 5, 6, 6)), 0);
    assert.equal(iou(a, box(2, 0, 4, 2)), 0);
    assert.equal(iou(a, box(1, 0, 3, 2)), 1 / 3);
    assert.equal(iou(box(1, 0, 3, 2), a), 1 / 3);
  });
  test('of a box inside another is the share of areas', () => assert.equal(iou(box(0, 0, 4, 4), box(1, 1, 3, 3)), 0.25));
  test('of boxes without area, or turned inside out, is 0 and never NaN', () => {
    assert.equal(iou(box(1, 1, 1, 1), box(1, 1, 1, 1)), 0);
    assert.equal(iou(box(2, 2, 0, 0), box(0, 0, 2, 2)), 0);
  });
});

describe('suppression', () => {
  test('of nothing is nothing', () => assert.deepEqual(suppress([], 0.5, 10), []));
  test('keeps the better of two that overlap, in any order', () => {
    const [good, poor] = [box(0, 0, 10, 10, 0.9), box(0, 0, 10, 9, 0.8)];
    assert.deepEqual(suppress([poor, good], 0.5, 10), [good]);
  });
  test('leaves other classes alone', () => {
    const pair = [box(0, 0, 10, 10, 0.9, 1), box(0, 0, 10, 10, 0.8, 2)];
    assert.deepEqual(suppress(pair, 0.5, 10), pair);
  });
  test('is by more than the threshold: exactly at it stays', () => {
    const pair = [box(0, 0, 2, 2, 0.9), box(1, 0, 3, 2, 0.8)];
    assert.equal(suppress(pair, 1 / 3, 10).length, 2);
    assert.equal(suppress(pair, 1 / 3 - 1e-9, 10).length, 1);
  });
  test('is by boxes that stayed: what a suppressed box overlaps lives', () => {
    const chain = [box(0, 0, 10, 1, 0.9), box(4, 0, 14, 1, 0.8), box(8, 0, 18, 1, 0.7)];
    assert.deepEqual(suppress(chain, 0.4, 10).map(({ score }) => score), [0.9, 0.7]);
  });
  test('keeps one of many equals, the first', () => {
    const equals = [box(0, 0, 1, 1), box(0, 0, 1, 1), box(0, 0, 1, 1)];
    const kept = suppress(equals, 0.5, 10);
    assert.equal(kept.length, 1);
    assert.equal(kept[0], equals[0]);
  });
  test('stops at the most asked for, best first', () => {
    const apart = Array.from({ length: 9 }, (_, i) => box(i * 10, 0, i * 10 + 5, 5, (i + 1) / 10));
    assert.deepEqual(suppress(apart, 0.5, 3).map(({ score }) => score), [0.9, 0.8, 0.7]);
  });
  test('at threshold 1 suppresses nothing, at 0 everything that overlaps', () => {
    const pair = [box(0, 0, 10, 10, 0.9), box(9, 9, 19, 19, 0.8)];
    assert.equal(suppress([pair[0]!, pair[0]!], 1, 10).length, 2);
    assert.equal(suppress(pair, 0, 10).length, 1);
  });
});

describe('boxes', () => {
  const whole: Geometry = { image_width: 200, image_height: 100, x: 0, y: 0, width: 200, height: 100 };
  test('go back to pixels of the original', () => {
    const [found] = findBoxes(Float32Array.of(0.25, 0.5, 0.5, 0.75, 0.5, 1), 6, nano!, whole);
    assert.deepEqual(found, { x1: 50, y1: 50, x2: 100, y2: 75, score: 0.5, class_id: 1, label: 'bicycle' });
  });
  test('go back through a crop', () => {
    const [found] = findBoxes(Float32Array.of(0, 0, 0.5, 1, 0.5, 0), 6, nano!, { ...whole, x: 60.5, y: 10, width: 80, height: 80 });
    assert.deepEqual([found!.x1, found!.y1, found!.x2, found!.y2], [60.5, 10, 100.5, 90]);
  });
  test('are clipped to the picture, and gone when nothing is left', () => {
    const rows = Float32Array.of(-0.5, -1, 0.5, 2, 0.9, 0, 1.5, 0, 2, 1, 0.8, 0);
    assert.deepEqual(findBoxes(rows, 6, nano!, whole).map(({ x1, y1, x2, y2 }) => [x1, y1, x2, y2]), [[0, 0, 100, 100]]);
  });
  test('below the card\'s score are left out', () => {
    const rows = Float32Array.of(0, 0, 1, 1, 0.36, 0, 0, 0, 1, 1, 0.34, 1);
    assert.deepEqual(findBoxes(rows, 6, nano!, whole).map(({ class_id }) => class_id), [0]);
  });
  test('of faces have five numbers and one name', () => {
    const [found] = findBoxes(Float32Array.of(0, 0, 0.5, 0.5, 0.75), 5, faces!, whole);
    assert.deepEqual(found, { x1: 0, y1: 0, x2: 100, y2: 50, score: 0.75, class_id: 0, label: 'face' });
  });
  test('of a class without a label say its number', () => assert.equal(findBoxes(Float32Array.of(0, 0, 1, 1, 0.9, 99), 6, nano!, whole)[0]!.label, 'class 99'));
  test('that are not made of numbers fail', () => {
    assert.throws(() => findBoxes(Float32Array.of(0, 0, Number.NaN, 1, 0.9, 0), 6, nano!, whole), failed);
    assert.throws(() => findBoxes(Float32Array.of(0, 0, 1, Infinity, 0.9, 0), 6, nano!, whole), failed);
  });
});

describe('labels', () => {
  test('are the best five, best first', () => {
    const scores = new Float32Array(1000);
    scores.set([0.1, 0.3, 0.05, 0.2, 0.02, 0.15], 7);
    const found = bestLabels(scores, lite!);
    assert.deepEqual(found.map(({ class_id }) => class_id), [8, 10, 12, 7, 9]);
    assert.deepEqual(found[0], { class_id: 8, label: lite!.labels[8], score: Math.fround(0.3) });
  });
  test('of equal scores keep the order of classes', () => {
    assert.deepEqual(bestLabels(new Float32Array(9).fill(0.1), lite!).map(({ class_id }) => class_id), [0, 1, 2, 3, 4]);
  });
  test('fewer than asked for are all there is', () => assert.equal(bestLabels(Float32Array.of(0.4, 0.6), lite!).length, 2));
  test('below the card\'s score are left out', () => {
    const picky = { ...lite!, card: { ...lite!.card, thresholds: { score: 0.5, classes: {}, iou: 0.5, top: 5 } } };
    assert.deepEqual(bestLabels(Float32Array.of(0.4, 0.6), picky).map(({ class_id }) => class_id), [1]);
  });
  test('that are not numbers fail', () => assert.throws(() => bestLabels(Float32Array.of(0.1, Number.NaN), lite!), failed));
});

test('an embedding is stored as float32, little endian', () => {
  const bytes = embeddingBytes(Float32Array.of(9, 1.5, -2).subarray(1));
  assert.deepEqual([bytes.length, bytes.readFloatLE(0), bytes.readFloatLE(4)], [8, 1.5, -2]);
});

describe('thresholds by class', () => {
  const whole: Geometry = { image_width: 100, image_height: 100, x: 0, y: 0, width: 100, height: 100 };
  const withClasses = (model: Model, classes: Record<string, number>): Model => ({ ...model, card: { ...model.card, thresholds: { ...model.card.thresholds, classes } } });
  const rows = Float32Array.of(0, 0, 0.2, 0.2, 0.5, 0, 0.5, 0.5, 0.7, 0.7, 0.5, 1, 0.8, 0.8, 0.9, 0.9, 0.2, 2);

  test('of boxes stand in for the model\'s, above it and below', () => {
    const found = findBoxes(rows, 6, withClasses(nano!, { person: 0.6, car: 0.1 }), whole);
    assert.deepEqual(found.map(({ label }) => label), ['bicycle', 'car']);
  });
  test('of faces are the face\'s', () => {
    const face = Float32Array.of(0, 0, 0.5, 0.5, 0.8);
    assert.equal(findBoxes(face, 5, withClasses(faces!, { face: 0.85 }), whole).length, 0);
    assert.equal(findBoxes(face, 5, withClasses(faces!, { face: 0.75 }), whole).length, 1);
  });
  test('of labels too, before the best are counted', () => {
    const [first, second, third] = lite!.labels as [string, string, string];
    const model = withClasses({ ...lite!, card: { ...lite!.card, thresholds: { ...lite!.card.thresholds, score: 0.2, top: 1 } } }, { [first]: 0.9, [third]: 0.05 });
    assert.deepEqual(bestLabels(Float32Array.of(0.8, 0.1, 0.1), model).map(({ label }) => label), [third]);
    assert.deepEqual(bestLabels(Float32Array.of(0.1, 0.8, 0.1), model).map(({ label }) => label), [second]);
  });
});
