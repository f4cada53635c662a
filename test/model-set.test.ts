/** Which models are served, by the settings and the topic, and what preprocess and the doors make of it. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import { parseModelChoice } from '../connectors/models/model-choice.ts';
import { openRepository } from '../connectors/models/repository.ts';
import type { Clock } from '../connectors/ports.ts';
import { checkModel } from '../processors/ingest/accept.ts';
import { ingestStage } from '../processors/ingest/ingest.ts';
import { type LiveModels, openModelSet } from '../processors/model-set.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { preprocessStage } from '../processors/preprocess/preprocess.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import type { Input } from '../processors/stage.ts';
import { asItIs, type ModelControl, toldOf } from '../schemas/model-control.ts';
import { readReport, reportKey } from '../schemas/model-report.ts';
import type { Frame, FrameIn } from '../schemas/records.ts';
import { modelsTopic, topicSpecs } from '../schemas/topics.ts';
import { photo } from './reference/pictures.ts';
import { modelsRoot } from './support/models.ts';
import { eventually, readAll } from './support/pipeline.ts';

const [lite, boxes, faces] = ['efficientnet-lite0', 'nanodet', 'ultraface'] as const;
/** What is tried again waits for nobody. */
const quick: Clock = { now: Date.now, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 50), signal) };
const never = new AbortController().signal;

interface World {
  readonly set: LiveModels;
  readonly root: string;
  names(): string[];
  tell(name: string, control: Partial<ModelControl> | string | null): Promise<void>;
  reported(): Promise<Record<string, unknown> | undefined>;
}

/** `here`: the only models of its repository at first; all of them unless given. */
async function world(t: TestContext, chosen: readonly string[], written: Record<string, Partial<ModelControl> | string> = {}, here?: readonly string[]): Promise<World> {
  const root = here ? await mkdtemp(join(tmpdir(), 'saccade-set-')) : modelsRoot;
  for (const name of here ?? []) await cp(join(modelsRoot, name), join(root, name), { recursive: true });
  const repository = openRepository(root);
  const log = memoryLog();
  await log.ensureTopics(topicSpecs([], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }));
  const producer = await log.producer();
  const tell: World['tell'] = (name, control) =>
    producer.send([{ topic: modelsTopic, key: name, value: control === null ? null : Buffer.from(typeof control === 'string' ? control : JSON.stringify({ ...asItIs, ...control })), partition: 0 }]);
  for (const [name, control] of Object.entries(written)) await tell(name, control);
  const atStart = await Promise.all(chosen.map((text) => repository.load(parseModelChoice(text))));
  const set = await openModelSet({ load: (choice) => repository.load(choice), chosen, atStart, stages: ['preprocess'], log, producer, clock: quick, reader: 'here', say: () => {} });
  t.after(async () => {
    await set.close();
    await log.close();
    if (here) await rm(root, { recursive: true });
  });
  return {
    set, tell, root,
    names: () => set.all().map(({ card }) => card.name),
    async reported() {
      const last = (await readAll(log, modelsTopic)).findLast(({ key }) => key?.toString() === reportKey('here'));
      return last?.value ? readReport(last.value)?.models : undefined;
    },
  };
}

describe('the set', () => {
  test('is the settings in their order, without what the topic says is gone, and then what it loaded, by name', async (t) => {
    const { set, names } = await world(t, [boxes], { [faces]: { state: 'served', version: '1' }, [lite]: { state: 'served', version: '1' } });
    assert.deepEqual([names(), set.offered()], [[boxes, lite, faces], [boxes, lite, faces]]);
    assert.equal(set.find(lite)!.card.version, '1', 'the version it was loaded in, not the highest');
    const without = await world(t, [boxes, lite], { [boxes]: { state: 'gone' } });
    assert.deepEqual(without.names(), [lite]);
  });

  test('reads records from before there were states as it did: they load nothing and unload nothing', async (t) => {
    const old = JSON.stringify({ version: '1', score: 0.7, classes: {} });
    const { set, names } = await world(t, [lite], { [lite]: old, [faces]: old });
    assert.deepEqual(names(), [lite]);
    const { card } = set.current(set.find(lite)!);
    assert.deepEqual([card.version, card.thresholds.score], ['1', 0.7]);
  });

  test('changes while it is asked: ready before it is offered, answering while it leaves; each step is done before it is reported', async (t) => {
    const { set, names, tell, reported } = await world(t, [lite]);
    const steps: string[] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    await set.begin(async (name) => {
      if (name === faces && steps.length === 1) await held;
      steps.push(`${name} ${set.find(name) ? 'here' : 'gone'} ${set.leaving(name) === null ? '' : 'leaving'}`.trim());
      return { version: set.find(name)?.card.version ?? null, trouble: null };
    });
    const view = (): unknown => [names(), set.offered()];
    await tell(faces, { state: 'loading', version: '1' });
    await eventually(() => names().length === 2, 'it has come');
    assert.deepEqual(view(), [[lite, faces], [lite]]);
    assert.deepEqual(Object.keys((await reported())!), [lite], 'not reported before it is done');
    release();
    await eventually(async () => faces in (await reported())!, 'its report');
    await tell(faces, { state: 'served', version: '1' });
    await eventually(() => set.offered().length === 2, 'it is offered');
    await tell(faces, { state: 'draining', version: '1', since: 77 });
    await eventually(() => set.leaving(faces) === 77, 'it leaves');
    assert.deepEqual(view(), [[lite, faces], [lite]]);
    await tell(faces, { state: 'gone' });
    await eventually(async () => !(faces in (await reported())!), 'it is gone');
    assert.deepEqual(view(), [[lite], [lite]]);
    assert.deepEqual(steps, [`${lite} here`, `${faces} here`, `${faces} here`, `${faces} here leaving`, `${faces} gone`]);
  });

  test('says nothing before all that it serves at the start has been brought up: the rest would read as gone', async (t) => {
    const { set, reported } = await world(t, [lite, faces]);
    const applied: string[] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const beginning = set.begin(async (name) => {
      if (name === faces) await held;
      applied.push(name);
      return { version: '1', trouble: null };
    });
    await eventually(() => applied.includes(lite), 'the first');
    await set.caughtUp();
    assert.equal(await reported(), undefined);
    release();
    await beginning;
    assert.deepEqual(Object.keys((await reported())!).toSorted(), [lite, faces]);
  });

  test('says again what it serves when somebody took it for dead', async (t) => {
    const { set, tell, reported } = await world(t, [lite]);
    await set.begin(async () => ({ version: '2', trouble: null }));
    const before = await reported();
    await tell(reportKey('here'), null);
    await eventually(async () => (await reported()) !== undefined, 'the report');
    assert.deepEqual(await reported(), before);
  });

  test('keeps what answers when another cannot be read, and says why; what cannot be read at all is not served', async (t) => {
    const { set, names, tell } = await world(t, [lite], { resnet: { state: 'served', version: '1' } });
    assert.deepEqual(names(), [lite]);
    assert.match(set.degraded()['model resnet']!, /resnet/);
    await tell(lite, { version: '9' });
    await eventually(() => 'model efficientnet-lite0' in set.degraded(), 'the trouble');
    assert.equal(set.current(set.find(lite)!).card.version, '2');
    await tell(lite, { version: '1' });
    await eventually(() => set.current(set.find(lite)!).card.version === '1', 'one that can be read');
    assert.deepEqual(Object.keys(set.degraded()), ['model resnet']);
  });
});

const image = photo('astronaut');
const frameFor = (...models: string[]): Frame => ({ id: 'f', tenant: 't', source: 'cam', sequence: null, captured_at: 1, accepted_at: 2, content_type: 'image/jpeg', size: image.length, image, claim: null, models, deadline: null, reply: null });

describe('what follows from it', () => {
  const inputOf = <T>(value: T, timestamp = 3): Input<T> => ({ value, key: 'cam', headers: {}, origin: { cluster: 'c', topic: 'x', partition: 0, offset: 0, timestamp }, bytes: 1, receivedAt: 4, attempt: 1 });

  test('preprocess that meets a model it does not know yet looks again before it refuses it', async (t) => {
    const { set, names, tell } = await world(t, [lite]);
    let now = 0;
    let looks = 0;
    const models = { ...set, caughtUp: () => (looks++, set.caughtUp()) };
    const stage = preprocessStage({ models, blobs: memoryBlobs(), limits: preprocessConfig.parse({}), clock: { ...systemClock, now: () => now } });
    const frame = frameFor(faces);
    const outputs = async (): Promise<string[]> => {
      const [outcome] = await stage.process([inputOf(frame)], never);
      return outcome!.kind === 'emit' ? outcome!.records.map(({ output }) => output) : [];
    };
    assert.deepEqual(await outputs(), ['predictions'], 'refused: nobody serves it');
    assert.deepEqual([await outputs(), looks], [['predictions'], 1], 'however many ask for it, it looks once in a while');
    now += 2_000;
    await tell(faces, { state: 'loading', version: '1' });
    assert.deepEqual(names(), [lite], 'not read yet');
    assert.deepEqual(await outputs(), [faces]);
  });

  test('a frame for a model that is served but cannot be read here waits until it can; unloading it ends that', async (t) => {
    const { set, names, tell, root } = await world(t, [lite], { [faces]: { state: 'served', version: '1' } }, [lite]);
    await set.begin(async () => ({ version: '1', trouble: null }));
    const stage = preprocessStage({ models: set, blobs: memoryBlobs(), limits: preprocessConfig.parse({}), clock: systemClock });
    const ending = async (name: string) => {
      const [outcome] = await stage.process([inputOf(frameFor(lite, name))], never);
      return outcome!.kind === 'retry' ? outcome!.error.message : outcome!.kind === 'emit' ? outcome!.records.map(({ output }) => output) : outcome!.kind;
    };
    assert.match(String(await ending(faces)), /ultraface cannot be read here/);
    assert.deepEqual(await ending('resnet'), [lite, 'predictions'], 'what nobody asked to be served is refused still');
    await tell(faces, { state: 'draining', version: '1', since: 7 });
    await eventually(() => set.unreadable(faces) === null, 'it is given up');
    assert.deepEqual(await ending(faces), [lite, 'predictions']);
    await tell(faces, { state: 'served', version: '1' });
    await eventually(() => set.unreadable(faces) !== null, 'it is asked for again');
    await cp(join(modelsRoot, faces), join(root, faces), { recursive: true });
    await eventually(() => names().includes(faces), 'tried again by itself');
    assert.deepEqual(await ending(faces), [lite, faces]);
    assert.deepEqual(set.degraded(), {});
  });

  test('a model whose folder is not here is known by what whoever loaded it wrote: its pictures are cut, by the version asked for', async (t) => {
    const model = await openRepository(modelsRoot).load({ name: faces, version: '1' });
    const { set, names, tell, root } = await world(t, [lite], { [faces]: { state: 'served', version: '1', score: 0.9, model: toldOf(model) } }, [lite]);
    await set.begin(async () => ({ version: '1', trouble: null }));
    const stage = preprocessStage({ models: set, blobs: memoryBlobs(), limits: preprocessConfig.parse({}), clock: systemClock });
    const cut = async () => {
      const [outcome] = await stage.process([inputOf(frameFor(lite, faces))], never);
      return outcome!.kind === 'emit' ? outcome!.records.map(({ output }) => output) : outcome!.kind;
    };
    assert.deepEqual([names(), set.offered(), await cut()], [[lite, faces], [lite, faces], [lite, faces]]);
    assert.deepEqual([set.current(set.find(faces)!).card.thresholds.score, set.find(faces)!.labels], [0.9, model.labels]);
    assert.match(set.degraded()[`model ${faces}`]!, /ultraface/, 'and says so');
    // Written by hand, for another version than it tells of.
    await tell('resnet', { state: 'served', version: '2', model: toldOf({ ...model, card: { ...model.card, name: 'resnet' } }) });
    await eventually(() => set.unreadable('resnet') !== null, 'that it is not known');
    await tell('resnet', { state: 'gone' });
    // Under another name than its own, and by a later version, whose cards say more: what else is written counts.
    await tell('vgg', { state: 'served', version: '1', model: toldOf(model) });
    await eventually(() => set.unreadable('vgg') !== null, 'that it is not known either');
    await tell('vgg', { state: 'gone' });
    await tell(faces, JSON.stringify({ ...asItIs, state: 'served', version: '1', score: 0.8, model: { ...toldOf(model), card: { ...model.card, later: true } } }));
    await eventually(() => set.control(faces).score === 0.8, 'it to be read');
    assert.deepEqual([set.control(faces).model, names()], [null, [lite, faces]]);
    await cp(join(modelsRoot, faces), join(root, faces), { recursive: true });
    await eventually(() => Object.keys(set.degraded()).length === 0, 'its folder');
    assert.deepEqual(set.current(set.find(faces)!).path, join(root, faces, '1', 'model.onnx'));
  });

  test('a model that could not be brought up is tried again by itself, and reported then', async (t) => {
    const { set, reported } = await world(t, [lite]);
    let tries = 0;
    await set.begin(async () => {
      if (++tries < 3) throw new SaccadeError('log_unavailable', 'The group could not be joined.');
      return { version: '2', trouble: null };
    });
    assert.match(set.degraded()[`model ${lite}`]!, /could not be joined/);
    assert.match(JSON.stringify(await reported()), /"version":null,"trouble":"The group/);
    await eventually(async () => /"version":"2","trouble":null/.test(JSON.stringify(await reported())), 'it answers');
    assert.deepEqual([tries, set.degraded()], [3, {}]);
  });

  test('a record that lay in the log before a model began to leave is let in; what comes later is told so', async () => {
    const rules = { maxImageBytes: 1e7, claimCheckBytes: 1e7, models: [lite], leaving: (name: string) => (name === faces ? 1_000 : null), blobs: memoryBlobs() };
    const stage = ingestStage({ rules, tenant: 't' });
    const value: FrameIn = { image: photo('coffee'), id: null, sequence: null, captured_at: null, models: [faces], deadline: null };
    const codes = await Promise.all([1_000, 1_001].map(async (at) => {
      const [outcome] = await stage.process([inputOf(value, at)], never);
      return outcome!.kind === 'reject' ? outcome!.error.code : outcome!.kind;
    }));
    assert.deepEqual(codes, ['emit', 'model_unloading']);
    const code = (name: string): string => {
      try {
        return String(checkModel(name, rules));
      } catch (error) {
        return (error as SaccadeError).code;
      }
    };
    const last = ingestStage({ rules: { ...rules, leaving: () => 0 }, tenant: 't' });
    const [late] = await last.process([inputOf(value, 1)], never);
    assert.equal(late!.kind === 'reject' && late!.error.code, 'model_unloading', 'once the log is read to where the doors were closed, a record is not let in however old it says it is');
    assert.deepEqual([lite, faces, 'resnet'].map(code), ['undefined', 'model_unloading', 'unknown_model'], 'at a door it comes now');
    assert.ok(new SaccadeError('model_unloading').sendersFault, 'or a camera that goes on asking would halt ingest for all');
  });
});
