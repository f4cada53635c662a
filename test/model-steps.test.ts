/** The steps of the commands that load and unload models: what they write to the topic, and whom they wait for. Processes are sets of models on one log. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { SaccadeError } from '../connectors/errors.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import { parseModelChoice } from '../connectors/models/model-choice.ts';
import { openRepository } from '../connectors/models/repository.ts';
import type { Clock } from '../connectors/ports.ts';
import { readArguments } from '../processors/model-commands/arguments.ts';
import { runModelCommand } from '../processors/model-commands/commands.ts';
import type { ModelWorld } from '../processors/model-commands/world.ts';
import { type LiveModels, openModelSet } from '../processors/model-set.ts';
import { followModelsTopic, type ModelsTopic } from '../processors/models-topic.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { asItIs, controlBytes, encodeControl, type ModelControl, toldOf } from '../schemas/model-control.ts';
import { modelsTopic, tensorTopic, topicSpecs } from '../schemas/topics.ts';
import { modelsRoot } from './support/models.ts';
import { eventually, readAll } from './support/pipeline.ts';

const [lite, faces] = ['efficientnet-lite0', 'ultraface'] as const;
const repository = openRepository(modelsRoot);

interface Stage {
  readonly topic: ModelsTopic;
  readonly world: ModelWorld;
  readonly said: string[];
  /** The last record written for a model, as it is. */
  record(name: string): Promise<unknown>;
  /** A process that serves these by its settings; `apply` is what it does about a model. */
  process(reader: string, chosen: readonly string[], apply?: (name: string, set: LiveModels) => Promise<void>): Promise<LiveModels>;
  models(...argv: string[]): Promise<void>;
  /** The code with which a command ends. */
  code(...argv: string[]): Promise<string>;
}

async function stage(t: TestContext, own: Partial<ModelWorld> = {}): Promise<Stage> {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs([], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }));
  const producer = await log.producer();
  const at = { log, producer, clock: systemClock, say: () => {} };
  const topic = await followModelsTopic({ ...at, reader: 'command', changed: () => {} });
  const readers = new Set<string>();
  const said: string[] = [];
  t.after(async () => {
    await topic.close();
    await log.close();
  });
  const world: ModelWorld = {
    read: (name, version) => repository.load({ name, version }),
    names: () => repository.names(),
    versions: (name) => repository.versions(name),
    topics: async () => [lite, faces].map(tensorTopic),
    control: topic.control,
    write: topic.write,
    written: topic.names,
    tryOut: async () => {},
    folds: async () => [],
    fits: () => {},
    async processes() {
      await topic.caughtUp();
      const reports = topic.reports();
      return new Map([...readers].map((reader) => [reader, reports.get(reader) ?? null]));
    },
    forgetDead: async () => {},
    makeTopics: async () => {},
    ends: async () => new Map(),
    left: async () => new Map(),
    runs: async () => true,
    clock: systemClock,
    ...own,
  };
  const models: Stage['models'] = async (...argv) => {
    const command = readArguments(argv);
    if (command.name === 'tune') throw new SaccadeError('bad_request', 'Not here.');
    await runModelCommand(world, command, (line) => said.push(line));
    await topic.caughtUp();
  };
  return {
    topic, world, said, models,
    record: async (name) => JSON.parse((await readAll(log, modelsTopic)).findLast(({ key }) => key?.toString() === name)!.value!.toString()),
    async process(reader, chosen, apply = async () => {}) {
      const atStart = await Promise.all(chosen.map((text) => repository.load(parseModelChoice(text))));
      const set = await openModelSet({ ...at, load: (choice) => repository.load(choice), chosen, atStart, stages: ['infer'], reader });
      readers.add(reader);
      t.after(() => set.close());
      await set.begin(async (name) => {
        await apply(name, set);
        return { version: set.find(name)?.card.version ?? null, trouble: null };
      });
      return set;
    },
    code: (...argv) => models(...argv).then(() => 'done', (error: unknown) => (error as SaccadeError).code),
  };
}

describe('thresholds', () => {
  test('that are reset leave a model that was loaded where it is', async (t) => {
    const here = await stage(t);
    const set = await here.process('one', [lite]);
    await here.models('load', faces);
    const { model, ...loaded } = here.topic.control(faces);
    assert.deepEqual([model?.card.name, loaded], [faces, { state: 'served', since: loaded.since, version: '1', score: null, classes: {} }]);
    await here.models('thresholds', faces, '--score', '0.9');
    assert.equal(here.topic.control(faces).score, 0.9);
    await here.models('thresholds', faces, '--reset');
    assert.deepEqual(here.topic.control(faces), { ...loaded, model });
    await eventually(() => set.current(set.find(faces)!).card.thresholds.score < 0.9, 'the reset');
    assert.deepEqual(set.offered(), [lite, faces]);
  });
});

test('a model whose card names no golden image is said not to have been tried, one that has it is', async (t) => {
  for (const golden of [true, false]) {
    const here = await stage(t, {
      async read(name, version) {
        const model = await repository.load({ name, version });
        const { golden: _none, ...card } = model.card;
        return golden ? model : { ...model, card };
      },
    });
    await here.process('one', [lite]);
    await here.models('load', faces);
    await here.models('use', `${faces}@1`);
    const told = here.said.filter((line) => /loaded (and|here)/.test(line));
    assert.equal(told.length, 2, here.said.join('\n'));
    assert.ok(told.every((line) => line.includes('NOT tried') === !golden), told.join('\n'));
  }
});

test('a model of which too much would have to be told is refused before anything is tried or written', async (t) => {
  let tried = 0;
  const here = await stage(t, {
    async read(name, version) {
      const model = await repository.load({ name, version });
      return { ...model, labels: Array.from({ length: 40_000 }, (_, i) => `a class of it, ${i}`) };
    },
    tryOut: async () => void (tried += 1),
  });
  await here.process('one', [lite]);
  for (const argv of [['load', faces], ['use', `${lite}@1`]]) {
    await assert.rejects(here.models(...argv), (error: SaccadeError) => error.code === 'invalid_model' && /takes \d{6,} bytes; 524288 are the most/.test(error.message));
  }
  assert.deepEqual([tried, here.topic.names()], [0, []]);
});

test('one that just fits still does with every state that is written of it', async (t) => {
  let spare = 0;
  const filled = async (name: string, version: string | null) => {
    const model = await repository.load({ name, version });
    return { ...model, labels: ['', 'x'.repeat(spare)] };
  };
  const control = { ...asItIs, version: '1', model: toldOf(await filled(faces, null)) };
  const here = await stage(t, { read: filled });
  await here.process('one', [lite]);
  // As it is before it has any state.
  spare = controlBytes - encodeControl(control).length;
  await assert.rejects(here.models('load', faces), { code: 'invalid_model' });
  assert.deepEqual(here.topic.names(), []);
});

test('nonsense that is written over what made sense changes nothing, also for who asks later', async (t) => {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs([], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }));
  const producer = await log.producer();
  const said: string[] = [];
  const topic = await followModelsTopic({ log, producer, clock: systemClock, say: (line) => void said.push(line), changed: () => {} });
  t.after(async () => (await topic.close(), await log.close()));
  await topic.write(lite, { ...asItIs, state: 'served', score: 0.9 });
  for (const value of [Buffer.from('{"version": 7}'), Buffer.alloc(controlBytes + 1, ' ')]) await producer.send([{ topic: modelsTopic, key: lite, value, partition: 0 }]);
  await topic.caughtUp();
  assert.deepEqual([topic.control(lite).state, topic.control(lite).score, said.length], ['served', 0.9, 2]);
  await topic.write(lite, null);
  await topic.caughtUp();
  assert.deepEqual(topic.control(lite), asItIs);
});

test('what tells nothing of a folder can be read by processes from before it could', async (t) => {
  const here = await stage(t);
  await here.models('thresholds', faces, '--score', '0.9');
  assert.deepEqual(await here.record(faces), { state: null, since: 0, version: null, score: 0.9, classes: {} });
  await here.models('use', `${faces}@1`);
  assert.deepEqual(Object.keys((await here.record(faces)) as object).at(-1), 'model');
});

test('a version that the plain name does not mean is listed as such', async (t) => {
  const here = await stage(t);
  await here.models('list');
  const named = here.said.filter((line) => line.includes('only where this version is named'));
  assert.deepEqual(named.map((line) => line.trim().split(/[ ,]+/).slice(0, 4).join(' ')), ['2 1.1.0 detection int8'], here.said.join('\n'));
});

describe('a load that fails', () => {
  const refusing = async (name: string): Promise<void> => {
    if (name === faces) throw new SaccadeError('invalid_model', 'Not here.');
  };

  test('leaves what is written as it was, so that settings that name the model still mean it', async (t) => {
    const here = await stage(t);
    await here.process('one', [lite], refusing);
    await here.topic.write(faces, { ...asItIs, score: 0.8 });
    await here.topic.caughtUp();
    assert.equal(await here.code('load', faces), 'invalid_model');
    await here.topic.caughtUp();
    assert.deepEqual(here.topic.control(faces), { ...asItIs, score: 0.8 });
    const later = await here.process('later', [lite, faces]);
    assert.deepEqual(later.offered(), [lite, faces]);
  });

  test('ends what a load that was killed had begun', async (t) => {
    const here = await stage(t);
    await here.process('one', [lite], refusing);
    await here.topic.write(faces, { ...asItIs, state: 'loading', version: '1' });
    await here.topic.caughtUp();
    assert.equal(await here.code('load', faces), 'invalid_model');
    await here.topic.caughtUp();
    assert.equal(here.topic.control(faces).state, 'gone');
  });

  test('leaves no report that the next load takes for its own', async (t) => {
    const here = await stage(t);
    let attempts = 0;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const set = await here.process('one', [lite], async (name, { find }) => {
      if (name !== faces) return;
      // Slow to forget the first attempt, so that its report is there still when the next one begins.
      if (find(faces) === null) await held;
      else if (attempts++ === 0) await refusing(name);
    });
    assert.equal(await here.code('load', faces), 'invalid_model');
    here.said.splice(0);
    const next = here.code('load', faces);
    await eventually(() => here.said.includes('ready to answer: 0 of 1 processes'), 'the next load to wait');
    release();
    assert.equal(await next, 'done');
    assert.deepEqual(set.offered(), [lite, faces]);
  });
});

describe('unload', () => {
  test('of the last two at once: one goes, the other is refused and stays', async (t) => {
    for (const [first, second] of [[lite, faces], [faces, lite]] as const) {
      const begun = new Set<string>();
      let bothLooked = (): void => {};
      const looked = new Promise<void>((resolve) => (bothLooked = resolve));
      const here = await stage(t);
      const { write } = here.topic;
      // Each has looked what is there before either has written.
      Object.assign(here.world, { write: async (name: string, control: ModelControl): Promise<void> => {
        if (control.state === 'draining' && !begun.has(name)) {
          begun.add(name);
          if (begun.size === 2) bothLooked();
          await looked;
          if (name === second) await eventually(() => here.topic.control(first).state !== null, 'the first writing');
        }
        await write(name, control);
      } });
      const set = await here.process('one', [lite, faces]);
      const codes = await Promise.all([here.code('unload', first, '--force'), here.code('unload', second, '--force')]);
      assert.deepEqual(codes, ['done', 'bad_request']);
      await eventually(() => set.offered().join() === second, 'the other answers again');
      assert.equal(await here.code('unload', second, '--force'), 'bad_request');
    }
  });

  /** Five seconds pass while somebody sleeps. */
  function hurried(): Clock {
    let ahead = 0;
    return { now: () => Date.now() + ahead, sleep: (_ms, signal) => ((ahead += 5_000), systemClock.sleep(5, signal)) };
  }

  test('is refused where the others have gone further meanwhile, and not where one of them is taken back', async (t) => {
    const here = await stage(t);
    const set = await here.process('one', [lite, faces]);
    const { write } = here.topic;
    Object.assign(here.world, { write: async (name: string, control: ModelControl): Promise<void> => {
      await write(name, control);
      // As another command does that began before and is nearly done.
      if (name === faces && control.state === 'draining') await write(lite, { ...asItIs, state: 'draining', since: 0 });
    } });
    assert.equal(await here.code('unload', faces), 'bad_request');
    await here.topic.caughtUp();
    assert.deepEqual([here.topic.control(faces).state, here.topic.control(lite).state], [null, 'draining']);
    await write(lite, asItIs);
    await here.topic.caughtUp();
    Object.assign(here.world, { write });
    assert.equal(await here.code('unload', faces), 'done');
    assert.deepEqual(set.offered(), [lite]);
  });

  test('does not wait for a tenant\'s input that no process reads any more, while others are read', async (t) => {
    let usual = 3;
    const here = await stage(t, {
      clock: hurried(),
      topics: async () => ['frames.in', 'frames.in.gone', ...[lite, faces].map(tensorTopic)],
      ends: async () => new Map([[0, 9]]),
      left: async (topic) => new Map([[`saccade.${topic}`, topic === 'frames.in' ? Math.max(0, usual--) : topic === 'frames.in.gone' ? 9 : 0]]),
      runs: async (group) => group !== 'saccade.frames.in.gone',
    });
    const set = await here.process('one', [lite, faces]);
    assert.equal(await here.code('unload', faces, '--limit', '3600'), 'done');
    assert.deepEqual(set.offered(), [lite]);
    assert.ok(here.said.includes('!! 9 of frames.in.gone are not waited for: no process reads it any more'), here.said.join('\n'));
  });

  test('waits for it where nothing is read: then it is the pipeline that is away', async (t) => {
    const here = await stage(t, {
      clock: hurried(),
      topics: async () => ['frames.in', 'frames.in.gone', ...[lite, faces].map(tensorTopic)],
      ends: async () => new Map([[0, 9]]),
      left: async (topic) => new Map([[`saccade.${topic}`, topic === 'frames.in.gone' ? 9 : 0]]),
      runs: async () => false,
    });
    await here.process('one', [lite, faces]);
    assert.equal(await here.code('unload', faces, '--limit', '120'), 'overloaded');
    assert.equal(here.topic.control(faces).state, 'draining');
  });
});
