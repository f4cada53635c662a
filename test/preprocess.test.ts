import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import type { BlobStore, Clock } from '../connectors/ports.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { preprocessStage } from '../processors/preprocess/preprocess.ts';
import type { Emitted, Input, Outcome } from '../processors/stage.ts';
import { predictionId } from '../schemas/ids.ts';
import type { Frame, Prediction, Tensor } from '../schemas/records.ts';
import { photo } from './reference/pictures.ts';
import { fixedModels } from '../schemas/model-set.ts';

const models = await loadModels(fileURLToPath(new URL('../models', import.meta.url)), ['efficientnet-lite0', 'nanodet', 'ultraface']);
const limits = preprocessConfig.parse({});

const clock: Clock = { now: () => 5_000, sleep: async () => {} };
const noBlobs: BlobStore = {
  kind: 'memory',
  put: async () => 'none',
  get: async (claim) => {
    throw new SaccadeError('blob_missing', claim);
  },
  expire: async () => 0, trim: async () => [],
};

const emitted = (outcome: Outcome): readonly Emitted[] => {
  assert.equal(outcome.kind, 'emit');
  return outcome.kind === 'emit' ? outcome.records : [];
};

describe('the stage', () => {
  const stage = preprocessStage({ models: fixedModels(models), blobs: noBlobs, limits, clock });
  const run = async (...frames: Frame[]): Promise<readonly Outcome[]> => stage.process(frames.map(inputOf), new AbortController().signal);

  test('emits a tensor to the output of each model asked for, with the frame\'s identity', async () => {
    const [outcome] = await run(frameOf({ reply: { request_id: 'r', partition: 3 }, deadline: 9_000, sequence: 4 }));
    const records = emitted(outcome!);
    assert.deepEqual(records.map(({ output, key }) => [output, key]), [['efficientnet-lite0', 'cam'], ['nanodet', 'cam']]);
    const tensor = records[1]!.value as Tensor;
    assert.deepEqual(
      [tensor.frame_id, tensor.tenant, tensor.source, tensor.sequence, tensor.captured_at, tensor.accepted_at, tensor.deadline, tensor.reply, tensor.model],
      ['f1', 't', 'cam', 4, 1_000, 2_000, 9_000, { request_id: 'r', partition: 3 }, 'nanodet'],
    );
    assert.equal(tensor.pixels.length, 416 * 416 * 3);
    const { origin: { topic, partition, offset }, value: frame } = inputOf(frameOf({}));
    assert.deepEqual(tensor.picture, { content_type: frame.content_type, size: frame.size, claim: null, place: { topic, partition, offset } });
    assert.deepEqual(tensor.geometry, { image_width: 600, image_height: 400, x: 0, y: 0, width: 600, height: 400 });
    assert.equal(tensor.timings_ms.queue, 1_500);
    assert.ok(tensor.timings_ms.decode! > 0);
    assert.deepEqual((records[0]!.value as Tensor).quality, tensor.quality);
  });

  test('a frame is its source\'s, whatever its key: a request over HTTP is no source of its own', () =>
    assert.equal(stage.source!({ ...inputOf(frameOf({})), key: 'f1' }), 'cam'));

  test('a tensor does not depend on the company it was asked in', async () => {
    const large = await sharp(photo('chelsea')).resize(2000, 1400).jpeg().toBuffer();
    const [both, alone] = await run(frameOf({ image: large }), frameOf({ image: large, models: ['efficientnet-lite0'] }));
    const [a, b] = [emitted(both!)[0]!.value as Tensor, emitted(alone!)[0]!.value as Tensor];
    assert.ok(a.pixels.equals(b.pixels));
    assert.deepEqual(a.quality, b.quality);
  });

  test('fetches what travels as a claim check, and asks again when the store cannot answer', async () => {
    const blobs: BlobStore = { ...noBlobs, get: async (claim) => (claim === 'there' ? photo('coffee') : noBlobs.get(claim)) };
    const claiming = preprocessStage({ models: fixedModels(models), blobs, limits, clock });
    const [found, missing] = await claiming.process(
      [frameOf({ image: null, claim: 'there' }), frameOf({ image: null, claim: 'gone' })].map(inputOf),
      new AbortController().signal,
    );
    assert.equal(emitted(found!).length, 2);
    assert.ok(missing!.kind === 'retry' && missing!.error.code === 'blob_missing');
    const [patient] = await claiming.process([{ ...inputOf(frameOf({ image: null, claim: 'gone' })), attempt: 6 }], new AbortController().signal);
    assert.ok(patient!.kind === 'reject' && patient!.error.code === 'blob_missing');
  });

  test('a bad picture is rejected while its neighbours go on, in order', async () => {
    const frames = Array.from({ length: 12 }, (_, i) => frameOf({ id: `f${i}`, ...(i % 3 === 1 ? { image: Buffer.from('not a picture') } : {}) }));
    const outcomes = await run(...frames);
    assert.deepEqual(outcomes.map(({ kind }) => kind), frames.map((_, i) => (i % 3 === 1 ? 'reject' : 'emit')));
    for (const [i, outcome] of outcomes.entries()) {
      if (i % 3 !== 1) assert.equal((emitted(outcome)[0]!.value as Tensor).frame_id, `f${i}`);
      else assert.equal(outcome.kind === 'reject' && outcome.error.code, 'unsupported_media_type');
    }
  });

  test('a frame without picture or claim is rejected', async () => {
    const [outcome] = await run(frameOf({ image: null }));
    assert.equal(outcome!.kind === 'reject' && outcome!.error.code, 'payload_empty');
  });

  test('a model nobody serves gets its dead letter while the others get their tensor', async () => {
    const [outcome] = await run(frameOf({ models: ['resnet', 'nanodet', 'resnet'], reply: { request_id: 'r', partition: 3 } }));
    const records = emitted(outcome!);
    assert.deepEqual(records.map(({ output, key, partition }) => [output, key, partition]), [
      ['nanodet', 'cam', undefined],
      ['predictions', 'cam', undefined],
      ['replies', 'r', 3],
    ]);
    const prediction = records[1]!.value as Prediction;
    assert.deepEqual([prediction.status, prediction.reason, prediction.stage, prediction.model, prediction.completed_at], ['dead_lettered', 'unknown_model', 'preprocess', 'resnet', 5_000]);
    assert.equal(prediction.id, predictionId('f1', 'resnet'));
    assert.ok(prediction.picture?.place, 'it can be looked at all the same');
    assert.match(prediction.detail!, /resnet/);
  });

  test('accounts for a failed frame once for each model asked for, and tells who waits', () => {
    const failure = { status: 'dropped', reason: 'deadline', detail: '', stage: 'preprocess', at: 7 } as const;
    const records = stage.account!(inputOf(frameOf({ models: ['nanodet', 'resnet', 'nanodet'], reply: { request_id: 'r', partition: 3 } })), failure);
    assert.deepEqual(records.map(({ output, value }) => [output, (value as Prediction).model, (value as Prediction).status]), [
      ['predictions', 'nanodet', 'dropped'],
      ['replies', 'nanodet', 'dropped'],
      ['predictions', 'resnet', 'dropped'],
      ['replies', 'resnet', 'dropped'],
    ]);
    assert.equal(stage.deadline!(inputOf(frameOf({ deadline: 9_000 }))), 9_000);
  });
});

function frameOf(change: Partial<Frame>): Frame {
  return {
    id: 'f1',
    tenant: 't',
    source: 'cam',
    sequence: null,
    captured_at: 1_000,
    accepted_at: 2_000,
    deadline: null,
    reply: null,
    content_type: 'image/jpeg',
    size: 1,
    image: photo('coffee'),
    claim: null,
    models: ['efficientnet-lite0', 'nanodet'],
    ...change,
  };
}

function inputOf(value: Frame): Input<Frame> {
  const origin = { cluster: 'c', topic: 'frames', partition: 0, offset: 0, timestamp: 2_000 };
  return { value, key: value.source, headers: {}, origin, bytes: 1, receivedAt: 3_500, attempt: 1 };
}
