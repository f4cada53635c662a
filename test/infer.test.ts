import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import type { BlobStore, Clock } from '../connectors/ports.ts';
import type { Engine, RowInput, RowResult } from '../processors/infer/engine.ts';
import { inferStage } from '../processors/infer/infer.ts';
import { iou } from '../processors/infer/nms.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { preprocessStage } from '../processors/preprocess/preprocess.ts';
import type { Emitted, Input, Outcome } from '../processors/stage.ts';
import { predictionId } from '../schemas/ids.ts';
import type { Detection, Frame, Prediction, Tensor } from '../schemas/records.ts';
import { disoriented, photo } from './reference/pictures.ts';
import { always, engineWith, modelsNamed } from './support/models.ts';
import { fixedModels } from '../schemas/model-set.ts';

interface Reference {
  answers: Record<string, Record<string, { labels?: Score[]; embedding?: number[]; detections?: (Score & { box: [number, number, number, number] })[] }>>;
}
interface Score {
  class_id: number;
  score: number;
}
const reference: Reference = JSON.parse(readFileSync(new URL('./reference/reference.json', import.meta.url), 'utf8'));

const clock: Clock = { now: () => 5_000, sleep: async () => {} };
const blobs = { kind: 'memory' } as BlobStore;
const never = new AbortController().signal;

/** Models, the engine they run in, and the way of a picture through both stages. */
async function pipeline(wanted: readonly string[], entry?: URL) {
  const models = await modelsNamed(...wanted);
  const engine = await engineWith(models, clock, entry ? { entry } : {});
  const preprocess = preprocessStage({ models: fixedModels(models), blobs, limits: preprocessConfig.parse({}), clock });
  const stages = new Map(models.map((model) => [model.card.name, inferStage({ serving: always(model), engine, clock })]));
  const tensorOf = async (image: Buffer, model: string): Promise<Tensor> => {
    const [outcome] = await preprocess.process([inputOf(frameOf(image, model))], never);
    return emitted(outcome!)[0]!.value as Tensor;
  };
  return {
    models,
    engine,
    tensorOf,
    stage: (model: string) => stages.get(model)!,
    async predict(image: Buffer, model: string): Promise<Prediction> {
      const [outcome] = await stages.get(model)!.process([inputOf(await tensorOf(image, model))], never);
      return emitted(outcome!)[0]!.value as Prediction;
    },
  };
}
type Pipeline = Awaited<ReturnType<typeof pipeline>>;

/**
 * How far scores may be from the reference's: two resizers that differ by rounding (0.15 of a grey level on average, a few
 * at most) moved no score by more than 0.013. The int8 model answers in steps of 1/255: 0.02 is five of them.
 */
const scoreTolerance = 0.02;

let current: Pipeline;
let older: Pipeline;
before(async () => {
  current = await pipeline(['efficientnet-lite0@2', 'nanodet', 'ultraface']);
  older = await pipeline(['efficientnet-lite0@1']);
});
after(async () => {
  await current.engine.close();
  await older.engine.close();
});

const classify = (version: string, image: Buffer): Promise<Prediction> => (version === '1' ? older : current).predict(image, 'efficientnet-lite0');

describe('beside an independent implementation (Pillow, NumPy, ONNX Runtime for Python)', () => {
  for (const version of ['1', '2']) {
    describe(`efficientnet-lite0@${version}`, () => {
      for (const name of ['astronaut', 'coffee', 'chelsea']) {
        test(`${name}: the same classes and scores`, async () => {
          const { labels: expected, embedding } = reference.answers[`efficientnet-lite0/${version}`]![name]!;
          const prediction = await classify(version, photo(name));
          const [best, second] = expected as [Score, Score];
          // Of two classes that the reference itself can hardly tell apart either may come first.
          const allowed = best.score - second.score > scoreTolerance ? [best.class_id] : [best.class_id, second.class_id];
          assert.ok(allowed.includes(prediction.labels[0]!.class_id), `${prediction.labels[0]!.label} is not ${allowed}`);
          for (const { class_id, score } of expected!) {
            // A class that missed our five scored no more than the last of them.
            const ours = prediction.labels.find((label) => label.class_id === class_id) ?? prediction.labels.at(-1)!;
            assert.ok(Math.abs(ours.score - score) <= scoreTolerance, `class ${class_id}: ${ours.score}, not ${score}`);
          }
          const ours = new Float32Array(new Uint8Array(prediction.embedding!).buffer);
          assert.equal(ours.length, 1280);
          assert.ok(cosine([...ours.subarray(0, embedding!.length)], embedding!) > 0.98);
        });
      }

      test('an espresso is one, with more than 0.8', async () => {
        const [best] = (await classify(version, photo('coffee'))).labels;
        assert.equal(best!.label, 'espresso');
        assert.ok(best!.score > 0.8, `${best!.score}`);
      });
    });
  }

  for (const model of ['nanodet', 'ultraface']) {
    test(`${model}: the same boxes`, async () => {
      const { card } = current.models.find((one) => one.card.name === model)!;
      const threshold = card.thresholds.score + scoreTolerance;
      for (const name of ['astronaut', 'coffee', 'chelsea']) {
        const expected = reference.answers[`${model}/1`]![name]!.detections!;
        const { detections } = await current.predict(photo(name), model);
        // Both ways; what lies within the tolerance of the threshold may be on either side of it.
        for (const one of expected.filter(({ score }) => score > threshold)) {
          const [x1, y1, x2, y2] = one.box;
          assert.ok(detections.some((d) => same(d, { ...one, label: '', x1, y1, x2, y2 }, 0.9)), `${name}: ${JSON.stringify(one)} is not in ${JSON.stringify(detections)}`);
        }
        for (const ours of detections.filter(({ score }) => score > threshold)) {
          assert.ok(
            expected.some(({ box: [x1, y1, x2, y2], ...score }) => same(ours, { ...score, label: '', x1, y1, x2, y2 }, 0.9)),
            `${name}: ${JSON.stringify(ours)} is not in the reference`,
          );
        }
      }
    });
  }
});

describe('boxes in pixels of the upright original', () => {
  test('the astronaut is a person where the person is', async () => {
    const { detections, image_width, image_height } = await current.predict(photo('astronaut'), 'nanodet');
    assert.deepEqual([image_width, image_height], [512, 512]);
    const [person] = detections;
    assert.equal(person!.label, 'person');
    const corners = [person!.x1, person!.y1, person!.x2, person!.y2].map((v) => v / 512);
    [0.03, 0.03, 0.71, 0.99].forEach((expected, i) => assert.ok(Math.abs(corners[i]! - expected) < 0.03, `${corners}`));
  });

  for (let orientation = 1; orientation <= 8; orientation++) {
    test(`are the same for EXIF orientation ${orientation}`, async () => {
      const straight = await current.predict(photo('coffee'), 'nanodet');
      const turned = await current.predict(await disoriented(photo('coffee'), orientation, 'jpeg'), 'nanodet');
      assert.deepEqual([turned.image_width, turned.image_height], [600, 400]);
      // The picture was encoded once more on the way: close, not equal.
      assert.ok(same(turned.detections[0]!, straight.detections[0]!, 0.95, 0.05), JSON.stringify([turned.detections, straight.detections]));
    });
  }

  test('grow with the picture', async () => {
    const straight = await current.predict(photo('coffee'), 'nanodet');
    const large = await current.predict(await sharp(photo('coffee')).resize(2400, 1600).jpeg({ quality: 95 }).toBuffer(), 'nanodet');
    const [cup] = large.detections;
    assert.ok(same({ ...cup!, x1: cup!.x1 / 4, y1: cup!.y1 / 4, x2: cup!.x2 / 4, y2: cup!.y2 / 4 }, straight.detections[0]!, 0.95, 0.05));
  });
});

describe('the stage', () => {
  let run: Pipeline;
  before(async () => void (run = await pipeline(['efficientnet-lite0', 'ultraface'], new URL('./reference/mortal-worker.mjs', import.meta.url))));
  after(() => run.engine.close());
  const process = (...inputs: Input<Tensor>[]): Promise<readonly Outcome[]> => run.stage(inputs[0]!.value.model).process(inputs, never);

  test('emits a prediction that carries the frame\'s identity, and tells who waits', async () => {
    const tensor = { ...(await run.tensorOf(photo('coffee'), 'efficientnet-lite0')), reply: { request_id: 'r', partition: 3 } };
    const [outcome] = await process(inputOf(tensor));
    const records = emitted(outcome!);
    assert.deepEqual(records.map(({ output, key, partition }) => [output, key, partition]), [['predictions', 'cam', undefined], ['replies', 'r', 3]]);
    const prediction = records[0]!.value as Prediction;
    assert.equal(records[1]!.value, prediction);
    const { labels, embedding, quality, timings_ms, ...rest } = prediction;
    assert.deepEqual(rest, {
      id: predictionId('f1', 'efficientnet-lite0'),
      frame_id: 'f1',
      tenant: 't',
      source: 'cam',
      sequence: 4,
      captured_at: 1_000,
      accepted_at: 2_000,
      completed_at: 5_000,
      status: 'ok',
      stage: null,
      reason: null,
      detail: null,
      model: 'efficientnet-lite0',
      version: '2',
      fallback_for: null,
      task: 'classification',
      image_width: 600,
      image_height: 400,
      detections: [],
      request_id: 'r',
      cached: false,
      picture: tensor.picture,
    });
    assert.deepEqual([labels.length, embedding!.length], [5, 1280 * 4]);
    assert.deepEqual(quality, tensor.quality);
    assert.deepEqual(Object.keys(timings_ms), ['queue', 'decode', 'tensor_queue', 'infer', 'run']);
    assert.equal(timings_ms.tensor_queue, 400);
    assert.ok(timings_ms.run! > 0 && timings_ms.infer! >= timings_ms.run!);
  });

  test('a tensor that is not the model\'s is rejected while its neighbours go on, in order', async () => {
    const good = await run.tensorOf(photo('coffee'), 'efficientnet-lite0');
    const bad: [Partial<Tensor>, RegExp][] = [
      [{ model: 'nanodet' }, /model/],
      [{ height: 225 }, /height x width/],
      [{ pixels: good.pixels.subarray(1) }, /pixels/],
      [{ geometry: { ...good.geometry, width: Number.NaN } }, /geometry/],
      [{ geometry: { ...good.geometry, image_height: 0 } }, /geometry/],
    ];
    const outcomes = await process(...bad.flatMap(([change], i) => [inputOf({ ...good, frame_id: `f${i}` }), inputOf({ ...good, ...change })]));
    for (const [i, outcome] of outcomes.entries()) {
      if (i % 2 === 0) assert.equal((emitted(outcome)[0]!.value as Prediction).frame_id, `f${i / 2}`);
      else assert.ok(outcome.kind === 'reject' && outcome.error.code === 'invalid_field' && bad[(i - 1) / 2]![1].test(outcome.error.message), JSON.stringify(outcome));
    }
  });

  test('a record that kills workers is retried, then rejected; what stood beside it is answered', async () => {
    const good = await run.tensorOf(photo('astronaut'), 'ultraface');
    const deadly = { ...good, pixels: Buffer.alloc(good.pixels.length, Buffer.from([13, 37])) };
    for (const [attempt, kind, code] of [[1, 'retry', 'engine_unavailable'], [2, 'retry', 'engine_unavailable'], [3, 'reject', 'inference_failed']] as const) {
      const [first, second] = await process(inputOf(deadly, attempt), inputOf(good, attempt));
      assert.ok(first!.kind === kind && first!.error.code === code, JSON.stringify(first));
      assert.equal(((emitted(second!)[0]!.value as Prediction).detections[0] as Detection).label, 'face');
    }
  });

  test('a tensor that is late when its turn comes is dropped for its deadline; its neighbour is answered', async () => {
    const good = await run.tensorOf(photo('coffee'), 'efficientnet-lite0');
    const late = { ...good, deadline: clock.now() - 1 };
    const [first, second] = await process(inputOf(late), inputOf({ ...good, deadline: clock.now() }));
    assert.deepEqual(first, { kind: 'drop', reason: 'deadline' });
    assert.equal((emitted(second!)[0]!.value as Prediction).status, 'ok');
  });

  test('accounts for a failed tensor, and tells who waits', async () => {
    const tensor = { ...(await run.tensorOf(photo('coffee'), 'ultraface')), reply: { request_id: 'r', partition: 3 }, deadline: 9_000 };
    const stage = run.stage('ultraface');
    const records = stage.account!(inputOf(tensor), { status: 'dead_lettered', reason: 'inference_failed', detail: 'why', stage: stage.name, at: 7 });
    assert.deepEqual(records.map(({ output, key, partition }) => [output, key, partition]), [['predictions', 'cam', undefined], ['replies', 'r', 3]]);
    const { id, status, reason, detail, stage: where } = records[0]!.value as Prediction;
    assert.deepEqual([id, status, reason, detail, where], [predictionId('f1', 'ultraface'), 'dead_lettered', 'inference_failed', 'why', 'infer.ultraface']);
    assert.equal(stage.deadline!(inputOf(tensor)), 9_000);
    assert.equal(stage.trouble!(), null);
  });

  test('identical pictures that meet are run once; each has a prediction of its own', async () => {
    const tensor = { ...(await run.tensorOf(photo('astronaut'), 'ultraface')), content: 'c1' };
    let ran = 0;
    const engine = { ...run.engine, run: (...of: Parameters<Engine['run']>) => ((ran += of[1].length), run.engine.run(...of)) };
    const stage = inferStage({ serving: always(run.models[1]!), engine, clock });
    const named = (frame_id: string, change: Partial<Tensor> = {}) => inputOf({ ...tensor, frame_id, ...change });
    const outcomes = (await Promise.all([
      stage.process([named('a'), named('b'), named('x', { content: 'c2' })], never),
      stage.process([named('c'), named('y', { content: null }), named('z', { content: null })], never),
    ])).flat();
    const predictions = outcomes.map((outcome) => emitted(outcome)[0]!.value as Prediction);
    assert.equal(ran, 4, 'a, x, y and z');
    assert.deepEqual(predictions.map(({ frame_id, cached }) => [frame_id, cached]), [['a', false], ['b', true], ['x', false], ['c', true], ['y', false], ['z', false]]);
    for (const { detections } of predictions) assert.deepEqual(detections, predictions[0]!.detections);
    assert.equal(new Set(predictions.map(({ id }) => id)).size, 6);
    await stage.process([named('d')], never);
    assert.equal(ran, 5, 'what has landed is the cache\'s to know');
  });

  test('who waits in haste does not stand in the line of a camera\'s; who is late when it lands is dropped', async () => {
    const tensor = { ...(await run.tensorOf(photo('astronaut'), 'ultraface')), content: 'c5' };
    const [result] = await run.engine.run(run.models[1]!, [{ pixels: tensor.pixels, source: 's', urgent: false, deadline: null }]);
    let now = 5_000;
    const lands: (() => void)[] = [];
    const engine = { ...run.engine, run: (_model: unknown, rows: readonly RowInput[]) => new Promise<RowResult[]>((land) => void lands.push(() => land(rows.map(() => result!)))) };
    const stage = inferStage({ serving: always(run.models[1]!), engine, clock: { ...clock, now: () => now } });
    const begin = (change: Partial<Tensor>) => stage.process([inputOf({ ...tensor, ...change })], never);
    const haste = { reply: { partition: 3, request_id: 'r' }, deadline: 9_000 };
    const [camera, urgent, joins, impatient, another] = [begin({}), begin(haste), begin({ ...haste, frame_id: 'f2' }), begin({ ...haste, deadline: 6_000 }), begin({ frame_id: 'f3' })];
    assert.equal(lands.length, 2, 'the camera\'s, and the first in haste: the others join that one');
    now = 7_000;
    lands[1]!();
    const cached = async (outcome: Promise<readonly Outcome[]>) => (emitted((await outcome)[0]!)[0]!.value as Prediction).cached;
    assert.deepEqual([await cached(urgent!), await cached(joins!), await cached(another!)], [false, true, true]);
    assert.deepEqual(await impatient, [{ kind: 'drop', reason: 'deadline' }]);
    const again = begin({});
    assert.equal(lands.length, 3, 'what has landed is nobody\'s to join, though the camera\'s is still under way');
    lands[0]!();
    lands[2]!();
    assert.deepEqual([await cached(camera!), await cached(again)], [false, false]);
  });

  test('sources of one name stand in the lines of their tenants', async () => {
    const tensor = await run.tensorOf(photo('astronaut'), 'ultraface');
    const lines: string[] = [];
    const engine = { ...run.engine, run: (...args: Parameters<Engine['run']>) => (lines.push(...args[1].map(({ source }) => source)), run.engine.run(...args)) };
    const stage = inferStage({ serving: always(run.models[1]!), engine, clock });
    await stage.process([{ tenant: 'acme' }, { tenant: 'zoo' }, { tenant: 'acme' }].map((change) => inputOf({ ...tensor, source: 'http', ...change })), never);
    assert.equal(lines.length, 3);
    assert.equal(lines[0], lines[2]);
    assert.equal(new Set(lines).size, 2, `${lines}`);
  });

  test('where the first of them fails, the others are run for themselves', async () => {
    const tensor = { ...(await run.tensorOf(photo('astronaut'), 'ultraface')), content: 'c3' };
    const [late, second, third] = await process(inputOf({ ...tensor, deadline: clock.now() - 1 }), inputOf(tensor), inputOf(tensor));
    assert.deepEqual(late, { kind: 'drop', reason: 'deadline' });
    for (const outcome of [second, third]) assert.equal((emitted(outcome!)[0]!.value as Prediction).detections[0]!.label, 'face');
    // A picture that ends its worker takes nobody's retry away: each is offered again, and in the end rejected, as if it stood alone.
    const deadly = { ...tensor, content: 'c4', pixels: Buffer.alloc(tensor.pixels.length, Buffer.from([13, 37])) };
    for (const [attempt, kind] of [[1, 'retry'], [3, 'reject']] as const) {
      assert.deepEqual((await process(inputOf(deadly, attempt), inputOf(deadly, attempt))).map((outcome) => outcome.kind), [kind, kind]);
    }
  });

  // The last one: it ends the engine.
  test('when the engine has ended, everything is offered again later', async () => {
    const tensor = await run.tensorOf(photo('coffee'), 'ultraface');
    await run.engine.close();
    const [outcome] = await process(inputOf(tensor, 9));
    assert.ok(outcome!.kind === 'retry' && outcome!.error.code === 'engine_unavailable');
  });
});

function emitted(outcome: Outcome): readonly Emitted[] {
  assert.equal(outcome.kind, 'emit', JSON.stringify(outcome));
  return outcome.kind === 'emit' ? outcome.records : [];
}

function same(a: Detection, b: Detection, overlap: number, tolerance = scoreTolerance): boolean {
  return a.class_id === b.class_id && Math.abs(a.score - b.score) <= tolerance && iou(a, b) >= overlap;
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const cosine = (a: readonly number[], b: readonly number[]): number => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));

const frameOf = (image: Buffer, model: string): Frame => ({
  id: 'f1',
  tenant: 't',
  source: 'cam',
  sequence: 4,
  captured_at: 1_000,
  accepted_at: 2_000,
  deadline: null,
  reply: null,
  content_type: 'image/jpeg',
  size: image.length,
  image,
  claim: null,
  models: [model],
});

function inputOf<T extends Frame | Tensor>(value: T, attempt = 1): Input<T> {
  const origin = { cluster: 'c', topic: 'any', partition: 0, offset: 0, timestamp: 2_600 };
  return { value, key: value.source, headers: {}, origin, bytes: 1, receivedAt: 3_000, attempt };
}

