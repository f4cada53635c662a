import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as otherWork } from 'node:timers/promises';
import { SaccadeError } from '../../connectors/errors.ts';
import { noWatch, watchWindow } from '../../processors/drift/alerts.ts';
import { unpackBlocks } from '../../processors/drift/blocks.ts';
import { driftConfig } from '../../processors/drift/config.ts';
import { driftStage } from '../../processors/drift/drift.ts';
import { normalOf, packReference, type Reference } from '../../processors/drift/reference.ts';
import { openReferences, referenceKey } from '../../processors/drift/references.ts';
import type { Emitted, Input } from '../../processors/stage.ts';
import type { Alert, DriftWindow, Prediction } from '../../schemas/records.ts';
import { quiet } from '../support/pipeline.ts';
import { noon, stream, usual } from '../support/drift.ts';

const config = driftConfig.parse({});
let now = noon;
const clock = { now: () => now };
const stream0 = { tenant: 'default', source: 'gate', model: 'nanodet', version: '1' };

const inputsOf = (predictions: readonly Prediction[], partition = 0): Input<Prediction>[] =>
  predictions.map((value, offset) => ({
    value,
    key: value.source,
    headers: {},
    origin: { cluster: 'c', topic: 'predictions', partition, offset, timestamp: value.completed_at },
    bytes: 1000,
    receivedAt: now,
    attempt: 1,
  }));

const batches = (inputs: readonly Input<Prediction>[], size: number): Input<Prediction>[][] =>
  Array.from({ length: Math.ceil(inputs.length / size) }, (_, i) => inputs.slice(i * size, (i + 1) * size));

/** What has arrived in the topics, and the table as a later process reads it. */
function someWorld() {
  const table = new Map<string, Buffer>();
  const arrived: Emitted[] = [];
  const references = openReferences(quiet);
  return {
    table,
    arrived,
    references,
    stage: (states: () => Promise<ReadonlyMap<string, Buffer>> = async () => new Map(table)) => driftStage({ config, clock, references, states, log: quiet }),
    arrive(...emitted: readonly Emitted[]): void {
      for (const each of emitted) {
        if (each.output === 'state') table.set(each.key!, each.value as Buffer);
        else arrived.push(each);
      }
    },
    windows: (): DriftWindow[] => arrived.filter(({ output }) => output === 'windows').map(({ value }) => value as DriftWindow),
    alerts: (): Alert[] => arrived.filter(({ output }) => output === 'alerts').map(({ value }) => value as Alert),
  };
}

const emittedBy = (outcomes: Awaited<ReturnType<ReturnType<typeof driftStage>['process']>>): Emitted[] =>
  outcomes.flatMap((outcome) => (outcome.kind === 'emit' ? outcome.records : assert.fail(outcome.kind)));

async function through(at: ReturnType<typeof someWorld>, inputs: readonly Input<Prediction>[], size = 500): Promise<void> {
  const stage = at.stage();
  const { signal } = new AbortController();
  for (const batch of batches(inputs, size)) {
    now = Math.max(now, batch.at(-1)!.value.completed_at);
    at.arrive(...emittedBy(await stage.process(batch, signal)));
  }
}

/** Windows as they count: whoever computed them, and however often. */
const essence = (windows: readonly DriftWindow[]) =>
  [...new Map(windows.map((window) => [window.id, { id: window.id, span: window.span, start: window.start, frames: window.frames, late: window.late, verdict: window.verdict }])).values()].sort((a, b) => (a.id < b.id ? -1 : 1));

describe('the drift stage', () => {
  test('answers one outcome for each input, and all that leaves goes with the first of its partition', async () => {
    const at = someWorld();
    const [a, b] = [inputsOf(stream({ seed: 1, frames: 1400 })), inputsOf(stream({ seed: 2, source: 'yard', frames: 1400 }), 1)];
    const mixed = a.flatMap((input, i) => [input, b[i]!]);
    const outcomes = await at.stage().process(mixed, new AbortController().signal);
    assert.equal(outcomes.length, mixed.length);
    assert.deepEqual(outcomes.flatMap((outcome, i) => (outcome.kind === 'emit' && outcome.records.length > 0 ? [i] : [])), [0, 1]);
    assert.deepEqual(emittedBy(outcomes.slice(0, 1)).map(({ output, key }) => [output, key]), [['windows', 'gate'], ['state', 'default/gate']]);
    const [window] = emittedBy(outcomes.slice(1, 2)).map(({ value }) => value as DriftWindow);
    assert.deepEqual([window!.source, window!.frames, window!.verdict, window!.reference], ['yard', 1200, 'no_reference', null]);
    assert.equal(unpackBlocks(window!.blocks!).reduce((sum, { frames }) => sum + frames, 0), 1200);
  });

  test('watches each version of each model of each source of each tenant by itself', async () => {
    const at = someWorld();
    const of = (more: Partial<Prediction>, seed: number): Prediction[] => stream({ seed, frames: 1400, embeddings: false }).map((p) => ({ ...p, ...more }));
    const all = [of({}, 1), of({ version: '2' }, 2), of({ model: 'other' }, 3), of({ tenant: 'acme' }, 4)];
    await through(at, inputsOf(all[0]!.flatMap((_, i) => all.map((one) => one[i]!))));
    assert.deepEqual(
      at.windows().map(({ tenant, model, version, frames }) => [tenant, model, version, frames]).sort(),
      [['acme', 'nanodet', '1', 1200], ['default', 'nanodet', '1', 1200], ['default', 'nanodet', '2', 1200], ['default', 'other', '1', 1200]],
    );
  });

  test('counts what got no answer with the version that answers otherwise', async () => {
    const at = someWorld();
    const predictions = stream({ seed: 5, frames: 1400, embeddings: false }).map((p, i): Prediction => (i % 10 === 9 ? { ...p, status: 'dead_lettered', stage: 'preprocess', reason: 'undecodable_image', version: null, task: null, detections: [], quality: null } : p));
    await through(at, inputsOf(predictions));
    const [window] = at.windows();
    assert.deepEqual([window!.version, window!.frames], ['1', 1200]);
  });

  test('a crash at any moment loses nothing and counts nothing twice', async () => {
    const inputs = inputsOf(stream({ seed: 6, frames: 4 * 60 * 22, embeddings: false }));
    const whole = someWorld();
    await through(whole, inputs, 300);
    assert.ok(whole.windows().length >= 4);
    const size = 300;
    for (let crash = 1; crash < inputs.length / size; crash += 2) {
      // What of the last batch has arrived when the process dies, and how far the group's position has come.
      for (const [how, committed] of [['nothing', 0], ['the state alone', 0], ['the results alone', 0], ['all', 0], ['all', 1], ['all', size]] as const) {
        const at = someWorld();
        const first = at.stage();
        const { signal } = new AbortController();
        for (const [i, batch] of batches(inputs, size).slice(0, crash).entries()) {
          const emitted = emittedBy(await first.process(batch, signal));
          if (i < crash - 1 || how === 'all') at.arrive(...emitted);
          else if (how === 'the state alone') at.arrive(...emitted.filter(({ output }) => output === 'state'));
          else if (how === 'the results alone') at.arrive(...emitted.filter(({ output }) => output !== 'state'));
        }
        const position = (crash - 1) * size + committed;
        const second = at.stage();
        const next = new AbortController().signal;
        for (const batch of batches(inputs.slice(position), 211)) at.arrive(...emittedBy(await second.process(batch, next)));
        assert.deepEqual(essence(at.windows()), essence(whole.windows()), `crash after ${crash} batches, ${how} arrived, ${committed} committed`);
      }
    }
  });

  test('what could not leave because the registry was away is given again', async () => {
    const at = someWorld();
    const stage = at.stage();
    const { signal } = new AbortController();
    const inputs = inputsOf(stream({ seed: 7, frames: 1400 }));
    const lost = emittedBy(await stage.process(inputs, signal));
    assert.ok(lost.length >= 2);
    const again = emittedBy(await stage.process([{ ...inputs[0]!, attempt: 2 }], signal));
    assert.deepEqual(again, lost);
    assert.deepEqual(emittedBy(await stage.process([{ ...inputs[5]!, attempt: 2 }], signal)), []);
  });

  test('gives the thread up between windows, and what it is asked meanwhile waits for its turn', async () => {
    const at = someWorld();
    const stage = at.stage();
    const { signal } = new AbortController();
    const sources = Array.from({ length: 12 }, (_, i) => stream({ seed: 70 + i, source: `camera ${i}`, frames: 1400, embeddings: false }));
    const inputs = inputsOf(sources[0]!.flatMap((_, i) => sources.map((of) => of[i]!)));
    const ended: string[] = [];
    let turns = 0;
    const others = async (): Promise<void> => {
      while (!ended.includes('counted')) {
        await otherWork();
        turns += 1;
      }
    };
    await Promise.all([
      stage.process(inputs, signal).then((outcomes) => {
        at.arrive(...emittedBy(outcomes));
        ended.push('counted');
      }),
      stage.silent().then(() => ended.push('asked')),
      others(),
    ]);
    assert.deepEqual(ended, ['counted', 'asked']);
    assert.equal(at.windows().length, sources.length);
    assert.ok(turns >= sources.length, `${turns} turns for others while ${sources.length} windows ended`);
  });

  test('partitions that come back are read anew: another process has counted meanwhile', async () => {
    const at = someWorld();
    const inputs = inputsOf(stream({ seed: 8, frames: 1500 }));
    const [mine, others] = [at.stage(), at.stage()];
    at.arrive(...emittedBy(await mine.process(inputs.slice(0, 400), new AbortController().signal)));
    at.arrive(...emittedBy(await others.process(inputs.slice(400, 900), new AbortController().signal)));
    at.arrive(...emittedBy(await mine.process(inputs.slice(900), new AbortController().signal)));
    assert.deepEqual(at.windows().map(({ frames }) => frames), [1200]);
  });

  test('a topic that was created anew is counted from its beginning', async () => {
    const at = someWorld();
    await through(at, inputsOf(stream({ seed: 9, frames: 600 })));
    const later = inputsOf(stream({ seed: 10, from: noon + 3_600_000, frames: 1400 }));
    await through(at, later);
    assert.ok(at.windows().some(({ start, frames }) => start === noon + 3_600_000 && frames === 1200));
  });

  test('waits when the table cannot be read, and begins a source anew whose state is nonsense', async () => {
    const at = someWorld();
    const inputs = inputsOf(stream({ seed: 11, frames: 1400 }));
    const away = at.stage(async () => {
      throw new SaccadeError('log_unavailable');
    });
    const outcomes = await away.process(inputs, new AbortController().signal);
    assert.ok(outcomes.every((outcome) => outcome.kind === 'retry'));
    at.table.set('default/gate', Buffer.from('nonsense'));
    await through(at, inputs);
    assert.equal(at.windows()[0]!.frames, 1200);
  });

  test('its state stays small', async () => {
    const at = someWorld();
    await through(at, inputsOf(stream({ seed: 12, frames: 4 * 60 * 30 })));
    assert.ok(at.table.get('default/gate')!.length < 90_000, `${at.table.get('default/gate')!.length} bytes`);
  });
});

describe('alerts', () => {
  const blocksOf = async (seed: number) => {
    const at = someWorld();
    await through(at, inputsOf(stream({ seed, frames: 4 * 3600 * 4 })), 5000);
    return at.windows().filter(({ span }) => span === '5m').flatMap(({ blocks }) => unpackBlocks(blocks!));
  };
  const start = noon + 86_400_000;
  const minutes = (n: number): number => 4 * 60 * n;
  const phase = (seed: number, from: number, n: number, seen = usual): Prediction[] => stream({ seed, from: start + from * 60_000, frames: minutes(n), world: seen });

  test('open when two of three windows agree, name what moved, and resolve when it is over', async () => {
    const at = someWorld();
    const reference: Reference = { version: '7', madeAt: noon, from: noon, to: noon, of: 'gate', parts: [{ name: 'all', from: 0, to: 0, blocks: await blocksOf(60) }] };
    at.references.changed(referenceKey(stream0), packReference(reference));
    const dark = { ...usual, luma: 70 };
    await through(at, inputsOf([...phase(61, 0, 15), ...phase(62, 15, 20, dark), ...phase(63, 35, 30)]));
    const windows = at.windows().filter(({ span }) => span === '5m');
    assert.deepEqual(windows.map(({ verdict }) => verdict), ['stable', 'stable', 'stable', ...Array.from({ length: 4 }, () => 'drifted'), ...Array.from({ length: 5 }, () => 'stable')]);
    assert.ok(windows.every((window) => window.reference === '7'));
    const alerts = at.alerts();
    const [opened, ...rest] = alerts;
    assert.equal(opened!.status, 'firing');
    assert.equal(opened!.started_at, start + 15 * 60_000);
    assert.equal(opened!.changed_at, start + 25 * 60_000, 'the second window that shows it');
    assert.ok(opened!.features.includes('luma') && opened!.examples.length > 0);
    assert.match(opened!.sentence, /darker/);
    assert.equal(new Set(alerts.map(({ id }) => id)).size, 1, 'one alert');
    const resolved = rest.at(-1)!;
    assert.deepEqual([resolved.status, resolved.resolved_at], ['resolved', start + 45 * 60_000]);
    assert.ok(rest.slice(0, -1).every(({ status }) => status === 'firing'));
    // The hour shows it too, and has nothing to add: the alert was over before it.
    const hour = at.windows().find(({ span }) => span === '1h');
    assert.deepEqual([hour!.verdict, hour!.features.find(({ name }) => name === 'luma')!.moved], ['drifted', true]);
    assert.match(hour!.sentence!, /^Over an hour: .*pictures are darker/);
    assert.ok(hour!.examples.length > 0, 'frames to look at');
  });

  const record = (span: '5m' | '1h', at: number, moved: readonly string[]): DriftWindow => {
    const ms = span === '1h' ? 3_600_000 : 300_000;
    const features = moved.map((name) => ({ name, moved: true }));
    return { id: `${span}/${at}`, tenant: 't', source: 's', model: 'nanodet', version: '1', span, start: start + at * 60_000, end: start + at * 60_000 + ms, verdict: moved.length > 0 ? 'drifted' : 'stable', features, sentence: moved.length > 0 ? moved.join() : null, examples: [] } as unknown as DriftWindow;
  };
  const newsOf = (windows: readonly DriftWindow[]) => {
    const watch = noWatch();
    return windows.flatMap((window) => {
      const alert = watchWindow(watch, window);
      return alert ? [[window.id, alert.status, alert.features.join(), alert.models.join()]] : [];
    });
  };
  const five = (from: number, n: number, moved: readonly string[] = []): DriftWindow[] => Array.from({ length: n }, (_, i) => record('5m', from + 5 * i, moved));

  test('two of three hours tell what no five minutes show', () => {
    const news = newsOf([0, 1, 2, 3, 4, 5].flatMap((hour) => [...five(60 * hour, 12), record('1h', 60 * hour, hour === 1 || hour === 2 ? ['class_mix'] : [])]));
    assert.deepEqual(news, [['1h/120', 'firing', 'class_mix', 'nanodet@1'], ['1h/240', 'resolved', 'class_mix', 'nanodet@1']]);
  });

  test('hours add nothing to what five minutes have told: the alert ends with its cause', () => {
    const news = newsOf([0, 1, 2].flatMap((hour) => [...five(60 * hour, 6, hour === 2 ? [] : ['luma']), ...five(60 * hour + 30, 6, hour === 0 ? ['luma'] : []), record('1h', 60 * hour, hour === 2 ? [] : ['luma'])]));
    assert.deepEqual(news, [['5m/5', 'firing', 'luma', 'nanodet@1'], ['5m/95', 'resolved', 'luma', 'nanodet@1']]);
  });

  test('hours tell of what no five minutes show, although those have told of something else', () => {
    const news = newsOf([0, 1, 2, 3].flatMap((hour) => [...five(60 * hour, 12, ['luma']), record('1h', 60 * hour, ['luma', 'class_mix'])]));
    assert.deepEqual(news, [['5m/5', 'firing', 'luma', 'nanodet@1'], ['1h/60', 'firing', 'luma,class_mix', 'nanodet@1']]);
  });

  test('what five minutes have told of is forgotten with the hour, whatever its verdict, and with the version', () => {
    const watch = noWatch();
    const see = (windows: readonly DriftWindow[]): void => windows.forEach((window) => void watchWindow(watch, window));
    see(five(0, 12, ['luma']));
    assert.deepEqual(watch.shown, { 'nanodet@1': ['luma'] });
    see([{ ...record('1h', 0, []), verdict: 'no_reference' }]);
    assert.deepEqual(watch.shown, {});
    see(five(60, 2, ['luma']));
    see(five(70, 30).map((window) => ({ ...window, version: '2' })));
    assert.deepEqual(watch.shown, {});
  });

  test('a day is laid beside its reference, and what chance does to a day is not asked', async () => {
    const blocks = await blocksOf(60);
    const normal = normalOf(() => blocks);
    const asked: number[] = [];
    const tails = (frames: number, durationMs: number) => {
      asked.push(durationMs);
      return normal.tails(frames, durationMs);
    };
    const references = { normalFor: () => ({ version: '1', sameVersion: true, normal: { ...normal, tails }, calibration: null }) };
    const stage = driftStage({ config, clock, references, states: async () => new Map(), log: quiet });
    const frames = stream({ seed: 67, from: Date.UTC(2026, 0, 6), frames: 18_200, fps: 0.2, embeddings: false });
    const day = emittedBy(await stage.process(inputsOf(frames), new AbortController().signal)).map(({ value }) => value as DriftWindow).find(({ span }) => span === '24h')!;
    assert.deepEqual([day.verdict, day.sentence, day.frames], ['sum', null, 17_280]);
    assert.ok(day.features.some(({ name, now: shares }) => name === 'luma' && shares.length > 0));
    assert.ok(day.features.every(({ p, q, moved }) => p === null && q === null && !moved));
    assert.ok(asked.length > 0 && asked.every((ms) => ms < 86_400_000), asked.join());
  });

  test('a single window that has moved is no alert', async () => {
    const at = someWorld();
    at.references.changed(referenceKey(stream0), packReference({ version: '1', madeAt: noon, from: noon, to: noon, of: 'gate', parts: [{ name: 'all', from: 0, to: 0, blocks: await blocksOf(60) }] }));
    await through(at, inputsOf([...phase(64, 0, 10), ...phase(65, 10, 5, { ...usual, luma: 60 }), ...phase(66, 15, 20)]));
    assert.deepEqual(at.windows().filter(({ verdict }) => verdict === 'drifted').length, 1);
    assert.deepEqual(at.alerts(), []);
  });
});
