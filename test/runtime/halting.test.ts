import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { type ErrorCode, SaccadeError } from '../../connectors/errors.ts';
import { deadLetterRatio } from '../../processors/runtime/dead-letter-ratio.ts';
import { runtimeMetrics } from '../../processors/runtime/metrics.ts';
import { emit, type Input, reject } from '../../processors/stage.ts';
import { caughtUp, eventually, type Item, itemOf, logWith, offer, pipelineOn, readAll, step } from '../support/pipeline.ts';

const limit = { share: 0.5, windowMs: 60_000, least: 100 };

describe('the ratio of dead letters', () => {
  const clock = { at: 0, now: () => clock.at };
  const fresh = () => ((clock.at = 1_000_000), deadLetterRatio(limit, clock));
  type Ratio = ReturnType<typeof fresh>;
  const many = (ratio: Ratio, times: number, source: string, code: ErrorCode | null): string | null => {
    const error = code && new SaccadeError(code);
    let why: string | null = null;
    for (let i = 0; i < times; i += 1) why = ratio.count(source, error) ?? why;
    return why;
  };

  test('says nothing below the least, and names numbers and codes above it', () => {
    const ratio = fresh();
    assert.equal(many(ratio, 99, 'a', 'internal'), null);
    assert.equal(many(ratio, 1, 'a', 'inference_failed'), '100 of 100 records of the last 60 s, from 1 source, were dead-lettered (internal 99, inference_failed 1)');
  });

  test('half is not more than half', () => {
    const ratio = fresh();
    many(ratio, 100, 'a', null);
    assert.equal(many(ratio, 100, 'a', 'internal'), null);
    assert.match(many(ratio, 1, 'a', 'internal')!, /^101 of 201/);
  });

  test('one noisy camera does not stop the others, however much it sends', () => {
    const ratio = fresh();
    for (const source of ['b', 'c']) many(ratio, 10, source, null);
    assert.equal(many(ratio, 5_000, 'noisy', 'undecodable_record'), null);
    // A stage that fails them all is another matter.
    for (const source of ['b', 'c']) many(ratio, 11, source, 'internal');
    assert.match(many(ratio, 1, 'noisy', 'internal')!, /from 3 sources/);
  });

  test('many names that send one bad record each do not stop it either', () => {
    const ratio = fresh();
    many(ratio, 500, 'good', null);
    for (let i = 0; i < 400; i += 1) assert.equal(many(ratio, 1, `stranger-${i}`, 'undecodable_record'), null);
  });

  test('pictures refused by their senders\' fault neither halt it nor hide that it is at fault', () => {
    const ratio = fresh();
    for (const code of ['undecodable_image', 'unsupported_media_type', 'too_many_pixels', 'payload_too_large', 'payload_empty'] as const) {
      assert.equal(many(ratio, 1_000, 'a', code), null, code);
    }
    assert.match(many(ratio, 100, 'a', 'internal')!, /^100 of 100 .* \(internal 100\)$/);
  });

  test('the sums carried along are those of the window, slice by slice', () => {
    const ratio = fresh();
    // Thirds, which no float adds up exactly; those of the first half minute have left the window at the end.
    for (let n = 0; n < 18; n += 1) {
      for (const source of ['a', 'b', 'c']) {
        many(ratio, n < 6 ? 40 : 2, source, null);
        assert.equal(many(ratio, 1, source, 'internal'), null);
      }
      clock.at += 5_000;
    }
    // 11 slices of 9 records are kept, 33 of 99 dead; then as many good as bad ones, and half is not more than half.
    for (const source of ['a', 'b', 'c']) assert.equal(many(ratio, 11, source, 'internal'), null);
    assert.match(many(ratio, 1, 'a', 'internal')!, /^67 of 133 .* from 3 sources/);
  });

  test('what is older than the window is forgotten, also by a clock that was set back', () => {
    const ratio = fresh();
    many(ratio, 99, 'a', 'internal');
    clock.at += 61_000;
    assert.equal(many(ratio, 99, 'a', 'internal'), null);
    clock.at -= 3_600_000;
    assert.equal(many(ratio, 99, 'a', 'internal'), null);
    assert.notEqual(many(ratio, 1, 'a', 'internal'), null);
  });
});

describe('a stage that dead-letters most of what it is given', () => {
  const sources = ['a', 'b', 'c'];
  const limits = { inFlightBytes: 1e8, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1e6, commitIntervalMs: 5, deadLetters: limit, stuckAfterMs: 200 };
  /** Sound until n = 20, at fault from there on. */
  const failing = async (batch: readonly Input<Item>[]) =>
    batch.map(({ value, key }) => (value.n < 20 ? emit({ output: 'out', key, value }) : reject(new SaccadeError('inference_failed', 'the wrong model'))));

  test('halts loudly, commits what was good, and goes on where it stopped once it is mended', async (t) => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 200);
    const registry = new Registry();
    const said: string[] = [];
    const batch = { records: 8, bytes: 1e9, waitMs: 0, concurrency: 2 };
    const make = (process: typeof failing) => [step({ name: 's', process, batch }, 'in', { out: 'out' })];
    const first = await pipelineOn(log, make(failing), { limits, metrics: runtimeMetrics(registry), announce: (line) => said.push(line) });
    t.after(() => first.stop(100));
    await first.start();
    await eventually(() => /halted/.test(first.troubles().s ?? ''), 'the halt to be told');
    const lengthOf = async (topic: string) => (await log.endOffsets(topic)).reduce((sum, { offset }) => sum + offset, 0);
    const lettersOf = () => lengthOf('in.dlq');
    const committed = async () => (await log.committed('g.s', 'in')).reduce((sum, { offset }) => sum + offset, 0);
    // What was in work when it halted still goes its way, and is committed.
    await eventually(async () => (await committed()) >= 100 && (await committed()) === (await lettersOf()) + (await lengthOf('out')), 'all that left to be committed');
    const atHalt = await lettersOf();
    assert.ok(atHalt <= 100 + batch.records * batch.concurrency, `${atHalt} dead letters`);
    for (const part of [/s is halted: \d+ of \d+ records/, /from \d sources?/, /inference_failed/, /npm run dlq -- list/, /start this process again/, /SACCADE_DEAD_LETTER_LIMIT=0/]) {
      assert.match(first.troubles().s!, part);
    }
    assert.deepEqual(said, [`!! ${first.troubles().s}`]);
    const metrics = await registry.metrics();
    for (const line of ['saccade_stage_halted{stage="s"} 1', 'saccade_stage_pauses_total{stage="s",reason="halted"} 1']) assert.ok(metrics.includes(line), line);

    await offer(log, 'in', sources, 5, 200);
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(await lettersOf(), atHalt, 'nothing more is taken');
    assert.deepEqual(first.stuck(), {}, 'a halt is for a person to look at, not for an orchestrator to undo');
    await first.stop(1000);

    const second = await pipelineOn(log, make(async (inputs) => inputs.map(({ value, key }) => emit({ output: 'out', key, value }))), { limits });
    await second.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'the rest');
    await second.stop(1000);
    const out = (await readAll(log, 'out')).map(itemOf);
    assert.equal(new Set(out.map(({ source, n }) => `${source}${n}`)).size, 615 - atHalt, 'each is stored or in the dead letters');
  });

  test('a stage that tells the source goes by it: names made up for each record have one vote together', async () => {
    const log = await logWith('in', 'out');
    const process = async (batch: readonly Input<Item>[]) =>
      batch.map(({ value, key }) => (value.source === 'http' ? reject(new SaccadeError('inference_failed')) : emit({ output: 'out', key, value })));
    const pipeline = await pipelineOn(log, [step({ name: 's', process, source: ({ value }) => value.source }, 'in', { out: 'out' })], { limits });
    await pipeline.start();
    await offer(log, 'in', ['a', 'b'], 10);
    const producer = await log.producer();
    for (let n = 0; n < 300; n += 1) await producer.send([{ topic: 'in', key: `request-${n}`, value: Buffer.from(JSON.stringify({ source: 'http', n })) }]);
    await producer.close();
    await eventually(async () => pipeline.troubles().s != null || (await caughtUp(log, 'g.s', 'in')), 'all committed');
    const trouble = pipeline.troubles().s ?? null;
    await pipeline.stop(1000);
    assert.equal(trouble, null);
    assert.equal((await readAll(log, 'in.dlq')).length, 300);
  });

  test('without a limit it goes on to the end', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 100);
    const pipeline = await pipelineOn(log, [step({ name: 's', process: failing }, 'in', { out: 'out' })], { limits: { ...limits, deadLetters: null } });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.equal((await readAll(log, 'in.dlq')).length, 240);
  });
});
