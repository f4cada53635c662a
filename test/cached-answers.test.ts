import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { memoryCache } from '../connectors/cache/memory.ts';
import { redisCache } from '../connectors/cache/redis.ts';
import type { Cache } from '../connectors/ports.ts';
import type { Engine } from '../processors/infer/engine.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { answerKey, decodeAnswer, encodeAnswer, type KnownAnswer } from '../schemas/known-answer.ts';
import type { Model } from '../schemas/model-card.ts';
import type { Frame, Prediction } from '../schemas/records.ts';
import { photo } from './reference/pictures.ts';
import { inference, type Inference, type InferenceOptions, testEngine, testModels } from './support/inference.ts';
import { eventually } from './support/pipeline.ts';
import { needsRedis, startRedis, type TestRedis } from './support/redis.ts';

const lite = 'efficientnet-lite0';
const faces = 'ultraface';
let models: Model[];
let engine: Engine;
before(async () => {
  models = await testModels([lite, faces]);
  engine = await testEngine(models);
});
after(() => engine.close());

const memory = (): Cache => memoryCache({ maxBytes: 16 * 1024 * 1024, clock: systemClock });
/** Several pipelines, one after the other, over the same cache: it outlives each of them. */
const lasting = (cache: Cache): Cache => ({ ...cache, close: async () => {} });

async function using<T>(options: Partial<InferenceOptions> & Pick<InferenceOptions, 'cache'>, use: (run: Inference) => Promise<T>): Promise<T> {
  const run = await inference({ models, engine, ...options });
  try {
    return await use(run);
  } finally {
    await run.stop();
  }
}

let frames = 0;
function frameOf(change: Partial<Frame> = {}): Frame {
  const image = change.image === undefined ? photo('coffee') : change.image;
  return {
    id: `00000000-0000-8000-8000-${String(++frames).padStart(12, '0')}`,
    tenant: 't',
    source: 'app',
    sequence: frames,
    captured_at: 1_000,
    accepted_at: 2_000,
    deadline: null,
    reply: null,
    content_type: 'image/jpeg',
    size: image?.length ?? 0,
    claim: null,
    models: [lite],
    ...change,
    image,
  };
}

/** The same picture in other bytes: decoders read no further than a JPEG's end. */
let others = 0;
const unlike = (image: Buffer): Buffer => Buffer.concat([image, Buffer.from(`other ${++others}`)]);
/** A write is not waited for by the answer it comes from. */
const kept = (run: Inference, count: number, model = lite): Promise<void> => eventually(async () => (await run.counted('writes', model, 'ok')) >= count, `${count} answers in the cache`);
const cachedOf = (predictions: readonly Prediction[]): boolean[] => predictions.map(({ cached }) => cached);

describe('an identical picture', () => {
  test('is answered from the cache, by a record of its own that says the same of it', () =>
    using({ cache: memory() }, async (run) => {
      const both = [lite, faces];
      const first = await run.ask(frameOf({ models: both, image: photo('astronaut') }));
      await Promise.all([kept(run, 1), kept(run, 1, faces)]);
      const again = frameOf({ models: both, image: photo('astronaut'), source: 'another', reply: { request_id: 'r', partition: 0 } });
      const second = await run.ask(again);
      assert.deepEqual([...cachedOf(first), ...cachedOf(second)], [false, false, true, true]);
      for (const model of both) {
        const [a, b] = [first, second].map((predictions) => predictions.find((p) => p.model === model)!) as [Prediction, Prediction];
        const { id, frame_id, source, sequence, completed_at, cached, timings_ms, request_id, picture, ...answer } = b;
        assert.deepEqual({ ...a, id, frame_id, source, sequence, completed_at, cached, timings_ms, request_id, picture }, b);
        assert.deepEqual([frame_id, source, sequence, request_id], [again.id, 'another', again.sequence, 'r']);
        assert.notEqual(id, a.id);
        assert.ok(answer.quality!.luma > 0 && answer.image_width === 512);
        assert.deepEqual(Object.keys(timings_ms).sort(), ['cache', 'queue', 'tensor_queue']);
        assert.deepEqual(Object.keys(a.timings_ms).sort(), ['cache', 'decode', 'infer', 'queue', 'run', 'tensor_queue']);
        assert.deepEqual([await run.counted('lookups', model, 'hit'), await run.counted('lookups', model, 'miss')], [1, 1]);
      }
      assert.equal(second.find((p) => p.model === faces)!.detections[0]!.label, 'face');
      assert.equal(second.find((p) => p.model === lite)!.embedding!.length, 1280 * 4);
      const bytes = new Map((await run.tensors(lite)).map(({ frame_id, pixels }) => [frame_id, pixels.length]));
      assert.deepEqual([bytes.get(first[0]!.frame_id), bytes.get(again.id)], [224 * 224 * 3, 0]);
    }));

  test('in flight at once is run once, however many sources send it, and every frame has its record', () =>
    using({ cache: memory() }, async (run) => {
      const sent = Array.from({ length: 12 }, (_, i) => frameOf({ source: `s${i % 4}` }));
      const predictions = await run.ask(...sent);
      assert.deepEqual(new Set(predictions.map(({ frame_id }) => frame_id)), new Set(sent.map(({ id }) => id)));
      assert.ok(predictions.every(({ status, labels }) => status === 'ok' && labels[0]!.label === 'espresso'));
      // Of each batch at most one, and those that came once it had landed.
      const runs = new Set(predictions.filter(({ cached }) => !cached).map(({ timings_ms }) => timings_ms.run));
      assert.ok(runs.size < sent.length && runs.size > 0, `${runs.size} runs`);
    }));

  test('known to one of two models is decoded for the other alone', () =>
    using({ cache: memory() }, async (run) => {
      await run.ask(frameOf());
      await kept(run, 1);
      const predictions = await run.ask(frameOf({ models: [lite, faces] }));
      assert.deepEqual(Object.fromEntries(predictions.map(({ model, cached }) => [model, cached])), { [lite]: true, [faces]: false });
    }));

  test('is known too where it lies beside the log, and where preprocess and infer are one step', () =>
    using({ cache: memory(), fuse: [['preprocess', 'infer']] }, async (run) => {
      const claim = await run.blobs.put('a/picture', photo('coffee'));
      assert.deepEqual(cachedOf(await run.ask(frameOf({ image: null, claim }))), [false]);
      await kept(run, 1);
      assert.deepEqual(cachedOf(await run.ask(frameOf({ image: null, claim }))), [true]);
      assert.deepEqual(cachedOf(await run.ask(frameOf())), [true]);
    }));

  test('keeps its place among what its source sends', () =>
    using({ cache: memory() }, async (run) => {
      await run.ask(frameOf());
      await kept(run, 1);
      const sources = ['a', 'b', 'c'];
      const sent = Array.from({ length: 60 }, (_, i) => frameOf({ source: sources[i % 3]!, image: i % 5 < 2 ? photo('coffee') : unlike(photo('coffee')) }));
      const predictions = await run.ask(...sent);
      assert.equal(cachedOf(predictions).filter(Boolean).length, 24);
      for (const source of sources) {
        const sequences = predictions.filter((p) => p.source === source).map(({ sequence }) => sequence!);
        assert.deepEqual(sequences, sequences.toSorted((x, y) => x - y));
        assert.equal(sequences.length, 20);
      }
    }));
});

describe('nothing is known', () => {
  const changed = (change: (card: Model['card']) => Partial<Model['card']>): Model[] =>
    models.map((model) => (model.card.name === lite ? { ...model, card: { ...model.card, ...change(model.card) } } : model));
  const cases: [string, () => { options?: Partial<InferenceOptions>; frame?: Partial<Frame> }][] = [
    ['of another tenant\'s pictures', () => ({ frame: { tenant: 'other' } })],
    ['once a threshold has changed', () => ({ options: { models: changed(({ thresholds }) => ({ thresholds: { ...thresholds, score: 0.123 } })) } })],
    ['by another version', () => ({ options: { models: changed(() => ({ version: '99' })) } })],
    ['by other labels', () => ({ options: { models: models.map((model) => ({ ...model, labels: model.labels.toReversed() })) } })],
    ['where other models are served, for whose sake pictures are shrunk otherwise', () => ({ options: { models: models.slice(0, 1) } })],
    ['of a picture that differs by a byte', () => ({ frame: { image: unlike(photo('coffee')) } })],
  ];
  for (const [name, make] of cases) {
    test(name, async () => {
      const cache = lasting(memory());
      await using({ cache }, async (run) => {
        await run.ask(frameOf());
        await kept(run, 1);
        assert.deepEqual(cachedOf(await run.ask(frameOf())), [true]);
      });
      const { options, frame } = make();
      await using({ cache, ...options }, async (run) => {
        const [prediction] = await run.ask(frameOf(frame));
        assert.deepEqual([prediction!.cached, prediction!.status], [false, 'ok']);
        assert.equal(await run.counted('lookups', lite, 'miss'), 1);
      });
    });
  }

  test('of live frames and excepted sources, which are not even asked for', () =>
    using({ cache: memory(), rules: { except: ['private'] } }, async (run) => {
      const later = Date.now() + 60_000;
      for (const change of [{ deadline: later }, { source: 'private' }]) {
        await run.ask(frameOf(change));
        assert.deepEqual(cachedOf(await run.ask(frameOf(change))), [false]);
      }
      assert.ok((await run.tensors(lite)).every(({ content }) => content === null));
      assert.equal(await run.counted('lookups', lite, 'miss'), 0);
      assert.equal(await run.counted('writes', lite, 'ok'), 0);
      // Somebody waits for this one: its deadline says until when, not that it is live.
      await run.ask(frameOf({ deadline: later, reply: { request_id: 'r', partition: 0 } }));
      assert.equal(await run.counted('lookups', lite, 'miss'), 1);
    }));

  test('of what failed: it fails again', () =>
    using({ cache: memory() }, async (run) => {
      for (let i = 0; i < 2; i++) {
        const [prediction] = await run.ask(frameOf({ image: photo('coffee').subarray(0, 2_000) }));
        assert.deepEqual([prediction!.status, prediction!.reason, prediction!.cached], ['dead_lettered', 'undecodable_image', false]);
      }
      assert.equal(await run.counted('writes', lite, 'ok'), 0);
    }));

  test('of pictures that are too large by now', async () => {
    const cache = lasting(memory());
    await using({ cache }, async (run) => {
      await run.ask(frameOf());
      await kept(run, 1);
    });
    await using({ cache, maxPixels: 600 * 400 - 1 }, async (run) => {
      const [prediction] = await run.ask(frameOf());
      assert.equal(prediction!.reason, 'too_many_pixels');
    });
  });
});

describe('with Redis', { skip: needsRedis }, () => {
  let redis: TestRedis;
  before(async () => void (redis = await startRedis()));
  after(() => redis.stop());
  const quiet = { info() {}, warn() {} };
  const open = (): Promise<Cache> => redisCache({ url: redis.url, password: redis.password, clock: systemClock, log: quiet });

  test('another process gives the answer again', async () => {
    redis.cli('flushall');
    await using({ cache: await open() }, async (run) => {
      await run.ask(frameOf());
      await kept(run, 1);
    });
    await using({ cache: await open() }, async (run) => assert.deepEqual(cachedOf(await run.ask(frameOf())), [true]));
  });

  test('its death in the middle costs hits and nothing else', async () => {
    redis.cli('flushall');
    await using({ cache: await open() }, async (run) => {
      await run.ask(frameOf());
      await kept(run, 1);
      assert.deepEqual(cachedOf(await run.ask(frameOf())), [true]);
      const asking = run.ask(...Array.from({ length: 40 }, (_, i) => frameOf({ source: `s${i % 4}` })));
      await redis.kill();
      const during = await asking;
      assert.ok(during.every(({ status }) => status === 'ok'));
      const away: Prediction[] = [];
      // One after the other: those that meet at the engine share a run, cache or no cache.
      for (let i = 0; i < 8; i++) away.push(...(await run.ask(frameOf())));
      assert.deepEqual(away.map(({ status, cached }) => [status, cached]), away.map(() => ['ok', false]));
      assert.ok((await run.counted('lookups', lite, 'error')) >= 8);
      await redis.restart();
      await eventually(async () => {
        const [prediction] = await run.ask(frameOf());
        return prediction!.cached;
      }, 'hits again');
    });
  });

  const spoilers: [string, (keys: string[]) => void][] = [
    ['garbage', (keys) => keys.forEach((key) => redis.cli('set', key, 'garbage'))],
    ['a changed byte', (keys) => keys.forEach((key) => redis.cli('setrange', key, '200', 'x'))],
    ['another picture\'s answer', ([a, b]) => (redis.cli('rename', a!, 'spare'), redis.cli('rename', b!, a!), redis.cli('rename', 'spare', b!))],
  ];
  for (const [name, spoil] of spoilers) {
    test(`${name} under its key is a miss, and is written over`, async () => {
      redis.cli('flushall');
      await using({ cache: await open() }, async (run) => {
        const [right] = await run.ask(frameOf());
        await run.ask(frameOf({ image: photo('chelsea') }));
        await kept(run, 2);
        spoil(redis.cli('keys', '*').trim().split('\n'));
        const [prediction] = await run.ask(frameOf());
        assert.deepEqual([prediction!.cached, prediction!.labels], [false, right!.labels]);
        assert.equal(await run.counted('lookups', lite, 'corrupt'), 1);
        await kept(run, 3);
        assert.deepEqual(cachedOf(await run.ask(frameOf())), [true]);
      });
    });
  }
});

describe('an answer as it is kept', () => {
  const answer: KnownAnswer = {
    version: '1',
    task: 'detection',
    labels: [{ class_id: 3, label: 'ä', score: Math.fround(0.1) }],
    detections: [{ class_id: 0, label: 'person', score: 0.5, x1: 1, y1: 2, x2: 3, y2: 4.000001 }],
    embedding: Buffer.from([1, 2, 3, 4]),
    image_width: 5,
    image_height: 6,
    quality: { luma: 1.25, contrast: 0, sharpness: 1e-9, saturation: null, entropy: 7.5 },
  };

  test('comes back as it was', () => {
    assert.deepEqual(decodeAnswer('k', encodeAnswer('k', answer)), answer);
    assert.deepEqual(decodeAnswer('k', encodeAnswer('k', { ...answer, embedding: null })), { ...answer, embedding: null });
  });

  test('is nothing when any byte of it changed, or under another key', () => {
    const bytes = encodeAnswer('k', answer);
    for (let i = 0; i < bytes.length; i++) {
      const spoilt = Buffer.from(bytes);
      spoilt[i]! ^= 1 << (i % 8);
      assert.equal(decodeAnswer('k', spoilt), null, `byte ${i}`);
    }
    assert.equal(decodeAnswer('other', bytes), null);
    for (const length of [0, 1, 16, bytes.length - 1]) assert.equal(decodeAnswer('k', bytes.subarray(0, length)), null);
  });

  test('is nothing when a number in it was none', () => {
    assert.equal(decodeAnswer('k', encodeAnswer('k', { ...answer, quality: { ...answer.quality, luma: Number.NaN } })), null);
  });

  test('is named so that a model\'s answers can be found', () => {
    assert.match(answerKey('c'.repeat(64), models[0]!), /^saccade:answer:1:efficientnet-lite0:2:[0-9a-f]{32}:c{64}$/);
  });
});
