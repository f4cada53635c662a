import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { memoryLog } from '../connectors/memory/log.ts';
import { openRepository } from '../connectors/models/repository.ts';
import type { Clock, Log } from '../connectors/ports.ts';
import { announce } from '../processors/announce.ts';
import { readConfig } from '../processors/config.ts';
import { openMode } from '../processors/edge/principal.ts';
import { httpServer } from '../processors/edge/server.ts';
import { inferConfig } from '../processors/infer/config.ts';
import { inferStage } from '../processors/infer/infer.ts';
import { type LiveModels, openModelSet } from '../processors/model-set.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { cutPicture, openServedModels, readModel, readModels, type ServedModels } from '../processors/served-models.ts';
import type { Settings } from '../processors/settings.ts';
import type { Input } from '../processors/stage.ts';
import { asItIs, type ModelControl } from '../schemas/model-control.ts';
import type { Prediction, Tensor } from '../schemas/records.ts';
import { modelsTopic, topicSpecs } from '../schemas/topics.ts';
import { photo } from './reference/pictures.ts';
import { modelsNamed, modelsRoot } from './support/models.ts';
import { eventually, quiet } from './support/pipeline.ts';

const [faces] = await modelsNamed('ultraface');
const { pixels, geometry } = await cutPicture(photo('astronaut'), faces!);
const never = new AbortController().signal;
const plain = asItIs;

type Versions = Record<string, (card: Record<string, unknown>) => Record<string, unknown>>;

/** A repository of versions of ultraface, and of others that are it by another name, each as its card was edited. */
async function repositoryOf(versions: Versions, others: Record<string, Versions> = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'saccade-served-'));
  for (const [name, edits] of Object.entries({ ultraface: versions, ...others })) {
    for (const [version, edit] of Object.entries(edits)) {
      const folder = join(root, name, version);
      await cp(join(modelsRoot, 'ultraface', '1'), folder, { recursive: true });
      const card = JSON.parse(await readFile(join(folder, 'card.json'), 'utf8')) as Record<string, unknown>;
      await writeFile(join(folder, 'card.json'), JSON.stringify(edit({ ...card, name, version })));
    }
  }
  return root;
}
const asIs = (card: Record<string, unknown>) => card;
const expects = (score: number) => (card: Record<string, unknown>) => ({ ...card, golden: { image: 'astronaut.jpg', expect: [{ label: 'face', score }] } });

interface World {
  readonly served: ServedModels;
  readonly models: LiveModels;
  readonly settings: Settings;
  readonly log: Log;
  readonly said: string[];
  readonly metrics: Registry;
  tell(control: ModelControl | string | null, name?: string): Promise<void>;
  predict(pictures?: readonly Uint8Array[], attempt?: number): Promise<Prediction[]>;
  close(): Promise<void>;
}

async function serve(root: string, { env = {}, written = {}, entry }: { env?: Record<string, string>; written?: Record<string, ModelControl>; entry?: URL } = {}): Promise<World> {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs([], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }));
  const producer = await log.producer();
  const tell: World['tell'] = (value, name = 'ultraface') =>
    producer.send([{ topic: modelsTopic, key: name, value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), partition: 0 }]);
  for (const [name, control] of Object.entries(written)) await tell(control, name);
  const said: string[] = [];
  const metrics = new Registry();
  const { settings } = readConfig([], { SACCADE_MODELS: 'ultraface', ...env }, '/nowhere/.env');
  // Restarts of a worker wait for nobody.
  const clock: Clock = { now: Date.now, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal) };
  const repository = openRepository(root);
  const say = (message: string): void => void said.push(message);
  const read = await readModels(repository, settings);
  const models = await openModelSet({ load: (choice) => readModel(repository, settings, choice), chosen: settings.SACCADE_MODELS, atStart: read, stages: ['infer'], log, producer, clock, reader: 'here', say });
  const served = await openServedModels({
    repository,
    settings,
    models,
    engine: inferConfig.parse({ workers: 2, providers: ['cpu'], maxBatch: 1 }),
    clock,
    metrics,
    say,
    ...(entry ? { entry } : {}),
  }).catch(async (error: unknown) => {
    await log.close();
    throw error;
  });
  await models.begin(async (name) => {
    await served.follow(name);
    return { version: served.answering(name)?.model.card.version ?? null, trouble: served.degraded()[`model ${name}`] ?? null };
  });
  const stage = inferStage({ serving: served.serving('ultraface'), engine: served.engine, clock: systemClock });
  return {
    served, models, settings, log, said, metrics, tell,
    async predict(pictures = [pixels], attempt = 1) {
      const outcomes = await stage.process(pictures.map((one, i) => inputOf(one, `f${i}`, attempt)), never);
      return outcomes.map((outcome) => {
        assert.equal(outcome.kind, 'emit', JSON.stringify(outcome));
        return (outcome.kind === 'emit' ? outcome.records[0]!.value : null) as Prediction;
      });
    },
    async close() {
      await models.close();
      await served.close();
      await log.close();
    },
  };
}

const inputOf = (picture: Uint8Array, frame_id: string, attempt: number): Input<Tensor> => ({
  value: {
    frame_id, tenant: 't', source: 'cam', sequence: null, captured_at: 1, accepted_at: 2, deadline: null, reply: null, model: 'ultraface',
    height: 240, width: 320, pixels: Buffer.from(picture), geometry, quality: { luma: 0, contrast: 0, sharpness: 0, saturation: 0, entropy: 0 }, timings_ms: {}, content: null, answer: null, picture: null,
  },
  key: 'cam', headers: {}, origin: { cluster: 'c', topic: 'tensors.ultraface', partition: 0, offset: 0, timestamp: 3 }, bytes: 1, receivedAt: 4, attempt,
});
const answer = async (world: World): Promise<[string | null, string | null]> => {
  const [one] = await world.predict();
  return [one!.version, one!.fallback_for];
};

describe('a model that is served', () => {
  let root: string;
  let world: World;
  before(async () => {
    root = await repositoryOf({
      1: asIs, 2: asIs, 3: expects(0.1), 4: (card) => ({ ...card, sha256: '0'.repeat(64) }), 5: (card) => ({ ...card, input: { ...(card.input as object), height: 480 } }),
    });
    world = await serve(root, { env: { SACCADE_MODELS: 'ultraface@1' } });
  });
  after(async () => {
    await world.close();
    await rm(root, { recursive: true });
  });

  test('changes its version while it answers, without a request left out', async () => {
    assert.deepEqual(await answer(world), ['1', null]);
    const versions: (string | null)[] = [];
    let stop = false;
    const load = (async () => {
      while (!stop) versions.push(...(await world.predict([pixels, pixels])).map(({ version }) => version));
    })();
    await world.tell({ ...plain, version: '2' });
    await eventually(() => versions.at(-1) === '2', 'version 2 answers');
    stop = true;
    await load;
    assert.equal(versions.lastIndexOf('1') < versions.indexOf('2'), true, 'not back and forth');
    assert.throws(() => world.served.engine.about(faces!), 'the version before is released');
    assert.match(await world.metrics.metrics(), /saccade_model_info\{model="ultraface",version="2",provider="cpu",fallback_for=""\} 1/);
  });

  test('changes its thresholds, for all classes or one', async () => {
    const found = async () => (await world.predict())[0]!.detections.length;
    assert.equal(await found(), 1);
    await world.tell({ ...plain, version: '2', classes: { face: 1 } });
    await eventually(async () => (await found()) === 0, 'a threshold for faces');
    await world.tell({ ...plain, version: '2', score: 0.01 });
    await eventually(async () => (await found()) > 0, 'a threshold for all');
    assert.equal(world.served.serving('ultraface').current().model.card.thresholds.score, 0.01);
  });

  for (const [version, words] of [['3', /golden.*expects face 0\.1/], ['4', /sha256/], ['5', /another input.*load ultraface@5/s], ['9', /9.card\.json/]] as const) {
    test(`stays with what answers when version ${version} cannot be served, and says so`, async () => {
      await world.tell({ ...plain, version });
      await eventually(() => words.test(world.served.degraded()['model ultraface'] ?? ''), `version ${version} refused: ${JSON.stringify(world.served.degraded())}`);
      assert.deepEqual(await answer(world), ['2', version]);
      assert.match(await world.metrics.metrics(), /saccade_model_fallback\{model="ultraface"\} 1/);
    });
  }

  test('is well again when it is told something that works; nonsense in the topic changes nothing', async () => {
    await world.tell('{"version": 7}');
    await eventually(() => world.said.some((line) => line.includes('nonsense')), 'nonsense is told of');
    await world.tell(JSON.stringify({ ...plain, version: '9', classes: Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`class ${i}`, 0.5])) }));
    await eventually(() => world.said.some((line) => /\d{6} bytes for ultraface, above 524288, which changes nothing/.test(line)), 'and what is too large');
    await world.tell(null);
    await eventually(() => Object.keys(world.served.degraded()).length === 0, 'all well');
    assert.deepEqual(await answer(world), ['1', null]);
  });
});

describe('a start', () => {
  test('is with the version and thresholds that the topic holds', async (t) => {
    const root = await repositoryOf({ 1: asIs, 2: asIs });
    const world = await serve(root, { written: { ultraface: { ...plain, version: '1', score: 0.9 } } });
    t.after(async () => (await world.close(), rm(root, { recursive: true })));
    assert.deepEqual(await answer(world), ['1', null]);
    assert.equal(world.served.serving('ultraface').current().model.card.thresholds.score, 0.9);
  });

  test('with a model that is not what its card says is with its fallback, by card or setting; without one it fails', async (t) => {
    const root = await repositoryOf({ 1: asIs, 2: (card) => ({ ...expects(0.1)(card), fallback: '1' }), 3: (card) => ({ ...card, sha256: '0'.repeat(64) }) });
    t.after(() => rm(root, { recursive: true }));
    for (const env of [{ SACCADE_MODELS: 'ultraface@2' }, { SACCADE_MODELS: 'ultraface@3', SACCADE_FALLBACK: 'ultraface@1' }]) {
      const world = await serve(root, { env });
      assert.deepEqual(await answer(world), ['1', env.SACCADE_MODELS.at(-1)]);
      assert.match(world.served.degraded()['model ultraface']!, /cannot be served, ultraface@1 answers instead/);
      const [known] = await readModels(openRepository(root), readConfig([], env, '/nowhere/.env').settings);
      assert.equal(known!.card.name, 'ultraface');
      await world.close();
    }
    await assert.rejects(serve(root), /sha256/);
  });

  test('with a card that cannot be read is with the fallback set for it, be that a higher version that the name alone does not mean', async (t) => {
    const root = await repositoryOf({ 1: (card) => ({ ...card, task: 'nonsense' }), 2: (card) => ({ ...card, default: false }) });
    t.after(() => rm(root, { recursive: true }));
    const { settings } = readConfig([], { SACCADE_MODELS: 'ultraface', SACCADE_FALLBACK: 'ultraface@2' }, '/nowhere/.env');
    const [known] = await readModels(openRepository(root), settings);
    assert.equal(known!.card.version, '2');
  });
});

test('a process starts beside a model that was loaded and does not answer in it, and says so', async (t) => {
  const root = await repositoryOf({ 1: asIs }, { lame: { 1: expects(0.1) } });
  const world = await serve(root, { written: { lame: { ...plain, state: 'served', version: '1' } } });
  t.after(async () => (await world.close(), rm(root, { recursive: true })));
  const lines: string[] = [];
  announce({ settings: world.settings, models: world.models.all(), served: world.served, degraded: world.models.degraded(), steps: [], cache: 'off', faces: null, say: (line) => lines.push(line) });
  assert.match(lines[0]!, /^models +ultraface@1 on cpu, lame does not answer here; 2 workers$/);
  assert.match(lines[1]!, /^!! model lame: .*golden.*expects face 0\.1/);
  assert.deepEqual(await answer(world), ['1', null]);
});

describe('a model that ends its workers', () => {
  const entry = new URL('./reference/mortal-worker.mjs', import.meta.url);
  const deadly = Uint8Array.from({ length: pixels.length }, (_, i) => (i % 2 === 0 ? 13 : 37));

  test('goes to its fallback after three records running; what it could not answer is answered', async (t) => {
    const root = await repositoryOf({ 1: asIs, 2: (card) => ({ ...card, fallback: '1' }) });
    const world = await serve(root, { entry });
    t.after(async () => (await world.close(), rm(root, { recursive: true })));
    assert.deepEqual(await answer(world), ['2', null]);
    const stage = inferStage({ serving: world.served.serving('ultraface'), engine: world.served.engine, clock: systemClock });
    for (let i = 0; i < 3; i++) {
      const [outcome] = await stage.process([inputOf(deadly, `d${i}`, 1)], never);
      assert.equal(outcome!.kind, 'retry');
    }
    await eventually(() => 'model ultraface' in world.served.degraded(), 'the fallback answers');
    assert.deepEqual(await answer(world), ['1', '2']);
    assert.match(world.served.degraded()['model ultraface']!, /ultraface@2 is out, ultraface@1 answers instead: it ended its worker/);
  });

  test('on one record again and again is asked no more about that one: its fallback is', async (t) => {
    const root = await repositoryOf({ 1: asIs, 2: (card) => ({ ...card, fallback: '1' }) });
    // It is version 2 alone that cannot bear it.
    const world = await serve(root, { entry: new URL('./reference/picky-worker.mjs', import.meta.url) });
    t.after(async () => (await world.close(), rm(root, { recursive: true })));
    const [last] = await world.predict([deadly], 3);
    assert.deepEqual([last!.version, last!.fallback_for], ['1', '2']);
    assert.deepEqual(await answer(world), ['2', null], 'the others are answered as ever');
    assert.deepEqual(world.served.degraded(), {});
  });
});

test('a tensor that comes for a model between its states waits a while, and is given up only then', async (t) => {
  const root = await repositoryOf({ 1: asIs });
  const world = await serve(root);
  t.after(async () => (await world.close(), rm(root, { recursive: true })));
  const serving = world.served.serving('ultraface');
  const stage = inferStage({ serving, engine: world.served.engine, clock: systemClock });
  const ending = async (attempt: number): Promise<string> => {
    const [outcome] = await stage.process([inputOf(pixels, 'f', attempt)], never);
    return outcome!.kind === 'retry' || outcome!.kind === 'reject' ? `${outcome!.kind} ${outcome!.error.code}` : outcome!.kind;
  };
  await world.tell({ ...plain, state: 'gone' });
  await eventually(() => serving.idle, 'it is gone');
  assert.deepEqual([await ending(1), await ending(5), await ending(6)], ['retry engine_unavailable', 'retry engine_unavailable', 'reject unknown_model']);
  await world.tell({ ...plain, state: 'served', version: '1' });
  await eventually(() => !serving.idle, 'it is back');
  assert.equal(await ending(2), 'emit');
});

test('a model whose card names no golden image is served, and said to be unchecked', async (t) => {
  const root = await repositoryOf({ 1: asIs, 2: (card) => ({ ...card, golden: undefined }) });
  const world = await serve(root);
  const metrics = new Registry();
  let waits: Record<string, string> = { 'infer.x': 'for 7 s' };
  const { app } = await httpServer({ metrics, troubles: () => ({}), waiting: () => waits, unchecked: world.served.unchecked, startedAt: 0, logger: quiet, authenticate: openMode('t') });
  t.after(async () => (await app.close(), await world.close(), await rm(root, { recursive: true })));
  const ready = async () => (await app.inject('/ready')).json() as { status: string; unchecked?: string[] };
  assert.deepEqual(await ready(), { status: 'ready', waiting: { 'infer.x': 'for 7 s' }, unchecked: ['ultraface@2'] });
  waits = {};
  await world.tell({ ...plain, version: '1' });
  await eventually(async () => (await answer(world))[0] === '1', 'the one with a picture');
  assert.deepEqual(await ready(), { status: 'ready' });
});
