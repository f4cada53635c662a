import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { SaccadeError } from '../connectors/errors.ts';
import type { Log } from '../connectors/ports.ts';
import { readArguments } from '../processors/model-commands/arguments.ts';
import { modelsCommand } from '../processors/model-commands/main.ts';
import { followModelsTopic } from '../processors/models-topic.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { tuneTable } from '../processors/model-commands/tune-table.ts';
import { modelsTopic, topicSpecs } from '../schemas/topics.ts';
import { needsKafka } from './support/components.ts';
import { testKafkaLog } from './support/kafka.ts';
import { eventually } from './support/pipeline.ts';

describe('arguments', () => {
  test('name what is to be done', () => {
    assert.deepEqual(readArguments(['use', 'nanodet@1']), { name: 'use', model: 'nanodet', version: '1' });
    assert.deepEqual(readArguments(['thresholds', 'nanodet', '--score', '0.4', '--class', 'person=0.6', '--class', 'a=b=1']), {
      name: 'thresholds', model: 'nanodet', reset: false, score: 0.4, classes: { person: 0.6, 'a=b': 1 },
    });
  });
  for (const [argv, words] of [
    [['use', 'nanodet'], /NAME@VERSION.*'nanodet'/],
    [['use', 'nanodet@one'], /'nanodet@one'/],
    [['thresholds', 'nanodet'], /nothing to change/],
    [['thresholds', 'nanodet', '--score', '40'], /--score: '40'/],
    [['thresholds', 'nanodet', '--score', ''], /--score: ''/],
    [['thresholds', 'nanodet', '--class', 'person'], /--class: 'person'/],
    [['thresholds', 'nanodet', '--class', 'person=x'], /--class person: 'x'/],
    [['list', '--score', '1'], /--score belongs/],
    [['load', 'nanodet@one'], /NAME@VERSION.*'nanodet@one'/],
    [['load', 'nanodet', '--limit', 'soon'], /--limit is 'soon'/],
    [['unload', 'nanodet@1'], /'nanodet@1'/],
    [['use', 'nanodet@1', '--force'], /--force belongs to unload/],
    [['drop'], /models drop.*list, load, unload, use, thresholds, tune, quantise/],
    [['list', '--colour'], /colour/],
  ] as const) {
    test(`are refused: ${argv.join(' ')}`, () =>
      assert.throws(() => readArguments(argv), (error: unknown) => error instanceof SaccadeError && error.code === 'bad_request' && words.test(error.message)));
  }
});

test('the table marks what is chosen', () => {
  const text = tuneTable('m@1', 'cpu', { measured: [{ rows: 1, ms: 4 }, { rows: 2, ms: 2 }], rows: 2, delayMs: 0, buckets: [1, 2] });
  assert.match(text, /1 +4\.00 +250 {2}█{40}\n/);
  assert.match(text, /2 +2\.00 +500 {2}█{20} {2}◀ chosen/);
});

describe('tune', () => {
  const tune = async (...models: string[]): Promise<{ code: number; text: string }> => {
    let text = '';
    const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => ((text += chunk.toString()), done()) });
    return { code: await modelsCommand(['tune', ...models], { SACCADE_PROVIDERS: 'cpu' }, { stdout: sink, stderr: sink }), text };
  };

  test('measures every size in a real engine, and plots it', async () => {
    const { code, text } = await tune('ultraface@1');
    assert.equal(code, 0, text);
    const rows = [...text.matchAll(/^ +(\d+) +(\d+\.\d\d) +(\d+) {2}(█+)( {2}◀ chosen)?$/gm)].map(([, size, ms, rate, bar, chosen]) => ({ size: Number(size), ms: Number(ms), rate: Number(rate), bar: bar!.length, chosen: chosen !== undefined }));
    assert.match(text, /^ultraface@1 on cpu\n/);
    assert.deepEqual(rows.map(({ size }) => size), [1, 2, 4, 8, 16]);
    const slowest = Math.max(...rows.map(({ ms }) => ms));
    for (const { ms, rate, bar } of rows) {
      assert.ok(ms > 0 && Math.abs(bar - (ms / slowest) * 40) <= 1, text);
      assert.ok(Math.abs(rate - 1000 / ms) <= 1 + 10 / ms ** 2, text);
    }
    const chosen = rows.filter((one) => one.chosen);
    assert.equal(chosen.length, 1, text);
    assert.match(text, new RegExp(`up to ${chosen[0]!.size} rows? a run, in sizes 1(, \\d+)*; a row waits 0 ms`));
  });

  test('of a model that is not there fails', async () => {
    const { code, text } = await tune('resnet');
    assert.ok(code !== 0 && text.includes('resnet'), text);
  });
});

describe('on Kafka', { skip: needsKafka }, () => {
  let log: Log;
  before(async () => {
    if (needsKafka) return;
    log = testKafkaLog();
    await log.ensureTopics(topicSpecs(['ultraface'], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }));
  });
  after(async () => {
    if (needsKafka) return;
    await forget();
    await log.close();
  });

  /** All that was written. */
  async function forget(): Promise<void> {
    const producer = await log.producer();
    await producer.send(['ultraface', 'nanodet', 'efficientnet-lite0'].map((key) => ({ topic: modelsTopic, key, value: null, partition: 0 })));
    await producer.close();
  }

  async function run(...argv: string[]): Promise<{ code: number; text: string }> {
    let text = '';
    const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => ((text += chunk.toString()), done()) });
    const code = await modelsCommand(argv, { KAFKA_BROKERS: process.env.SACCADE_TEST_KAFKA, SACCADE_MODELS: 'ultraface' }, { stdout: sink, stderr: sink });
    return { code, text };
  }

  for (const [argv, words] of [
    [['use', 'resnet@1'], /no model resnet.*efficientnet-lite0, nanodet, ultraface/],
    [['thresholds', 'ultraface', '--class', 'cat=0.5'], /ultraface@1 has no class cat; it has face/],
  ] as const) {
    test(`is refused before anything is written: ${argv.join(' ')}`, async () => {
      const { code, text } = await run(...argv);
      assert.equal(code, 2, text);
      assert.match(text, words);
    });
  }

  test('a version that is not there fails', async () => {
    const { code, text } = await run('use', 'ultraface@9');
    assert.deepEqual([code, /9.card\.json/.test(text)], [1, true], text);
  });

  test('what is written is listed', async () => {
    assert.equal((await run('thresholds', 'ultraface', '--score', '0.8', '--class', 'face=0.9')).code, 0);
    const used = await run('use', 'ultraface@1');
    assert.equal(used.code, 0, used.text);
    const { text } = await run('list');
    assert.match(text, /ultraface\n +1 +1\.0\.0 +faces, fp32 {2}◀ in use, score from 0\.8, face from 0\.9/);
  });

  test('two at once do not wait for each other, as they do for processes', async () => {
    const [one, other] = await Promise.all(['nanodet', 'efficientnet-lite0'].map((model) => run('load', model, '--limit', '20')));
    assert.deepEqual([one!.code, other!.code], [0, 0], `${one!.text}${other!.text}`);
    await forget();
  });

  test('what a process said that was killed is taken back', async () => {
    const producer = await log.producer();
    const topic = await followModelsTopic({ log, producer, clock: systemClock, reader: 'looks-on', say: () => {}, changed: () => {} });
    const report = { stages: ['infer'], offered: [], models: {} };
    await topic.report('killed', report);
    await topic.report('looks-on', { ...report, models: { ultraface: { state: 'served', since: 0, version: '1', trouble: null } } });
    // Refused, so nothing is tidied up.
    assert.equal((await run('load', 'ultraface')).code, 2);
    await topic.caughtUp();
    assert.deepEqual([...topic.reports().keys()].toSorted(), ['killed', 'looks-on']);
    const loading = run('load', 'nanodet', '--limit', '60');
    for (const state of ['loading', 'served'] as const) {
      await eventually(() => topic.control('nanodet').state === state, state);
      const { since } = topic.control('nanodet');
      await topic.report('looks-on', { ...report, models: { nanodet: { state, since, version: '1', trouble: null } } });
    }
    const { code, text } = await loading;
    assert.equal(code, 0, text);
    await topic.caughtUp();
    assert.deepEqual([...topic.reports().keys()], ['looks-on']);
    await topic.close();
    await producer.close();
  });
});
