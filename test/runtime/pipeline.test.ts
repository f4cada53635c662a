import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SaccadeError } from '../../connectors/errors.ts';
import { drop, emit, type Input, type Outcome, reject, retry } from '../../processors/stage.ts';
import { caughtUp, eventually, type Item, itemOf, logWith, offer, passOn, pipelineOn, readAll, step } from '../support/pipeline.ts';

const sources = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** Each source's numbers in the order they lie in the log. */
async function bySource(log: Parameters<typeof readAll>[0], topic: string): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const item of (await readAll(log, topic)).map(itemOf)) (found[item.source] ??= []).push(item.n);
  return found;
}

const expected = (count: number) => Object.fromEntries(sources.map((source) => [source, Array.from({ length: count }, (_, n) => n)]));

/** Emits every item but those the test picks. */
const except = (pick: (item: Item) => Outcome | null) => async (batch: readonly Input<Item>[]) =>
  batch.map(({ value, key }) => pick(value) ?? emit({ output: 'out', key, value }));

describe('the runtime on the in-process log', () => {
  test('every record has one result, in the order of its source, however uneven the work', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 40);
    const pipeline = await pipelineOn(log, [step({ name: 's', process: passOn('out', ({ n }) => (n * 7) % 13) }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.deepEqual(await bySource(log, 'out'), expected(40));
  });

  test('a step that comes while others run, behind an output for every name, goes again and comes back: nothing is lost or repeated', async () => {
    const log = await logWith('in', 'work.x', 'work.y', 'out');
    const route = async (batch: readonly Input<Item>[]): Promise<Outcome[]> => batch.map(({ value, key }) => emit({ output: value.source < 'd' ? 'x' : 'y', key, value }));
    const worker = (name: string) => step({ name: `work.${name}`, process: passOn('out', ({ n }) => n % 3) }, `work.${name}`, { out: 'out' });
    const pipeline = await pipelineOn(log, [step({ name: 'route', process: route }, 'in', { '*': 'work.*' }), worker('x')], { fuse: [['route', 'work']] });
    await pipeline.start();
    await offer(log, 'in', sources, 20);
    await pipeline.add(worker('y'));
    await pipeline.add(worker('y'));
    await offer(log, 'in', sources, 20, 20);
    await pipeline.remove('work.y', 1000);
    await pipeline.remove('work.x', 1000);
    await offer(log, 'in', sources, 20, 40);
    await eventually(() => caughtUp(log, 'g.route', 'in'), 'all routed');
    for (const name of ['x', 'y']) assert.equal(await caughtUp(log, `g.work.${name}`, `work.${name}`), false, 'nobody works on it');
    await pipeline.add(worker('y'));
    await pipeline.add(worker('x'));
    await eventually(async () => (await log.endOffsets('out')).reduce((sum, { offset }) => sum + offset, 0) >= 60 * sources.length, 'all results');
    await pipeline.stop(1000);
    assert.deepEqual(await bySource(log, 'out'), expected(60));
  });

  test('a step that could not join its group is not taken for one that consumes: it can be added again', async () => {
    const log = await logWith('in', 'work.x', 'out');
    let away = true;
    const shaky: typeof log = {
      ...log,
      endOffsets: (topic) => log.endOffsets(topic),
      consumer: (options) => (away && options.topics[0] === 'work.x' ? Promise.reject(new SaccadeError('log_unavailable', 'no coordinator')) : log.consumer(options)),
    };
    const lives: string[] = [];
    const late = step({ name: 'late', process: passOn('out'), start: async () => void lives.push('start'), stop: async () => void lives.push('stop') }, 'work.x', { out: 'out' });
    const pipeline = await pipelineOn(shaky, [step({ name: 's', process: passOn('out') }, 'in', { out: 'out' })]);
    await pipeline.start();
    await offer(log, 'work.x', ['a'], 3);
    await assert.rejects(pipeline.add(late), /no coordinator/);
    assert.deepEqual(pipeline.troubles(), {});
    away = false;
    await pipeline.add(late);
    await eventually(() => caughtUp(log, 'g.late', 'work.x'), 'it works');
    await pipeline.stop(1000);
    assert.deepEqual(lives, ['start', 'stop', 'start', 'stop']);
    assert.deepEqual(await bySource(log, 'out'), { a: [0, 1, 2] });
  });

  test('a bad record goes to the dead letters with its reason; its neighbours go on', async () => {
    const log = await logWith('in', 'out', 'outcomes');
    await offer(log, 'in', sources, 5);
    const process = except((item) => (item.source === 'c' && item.n === 2 ? reject(new SaccadeError('undecodable_image', 'torn')) : null));
    const account = (input: Input<Item>, failure: { status: string; reason: string }) => [
      { output: 'outcomes', key: input.key, value: { ...input.value, status: failure.status, reason: failure.reason } },
    ];
    const pipeline = await pipelineOn(log, [step({ name: 's', process, account }, 'in', { out: 'out', outcomes: 'outcomes' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    const letters = await readAll(log, 'in.dlq');
    assert.equal(letters.length, 1);
    assert.deepEqual(itemOf(letters[0]!), { source: 'c', n: 2 });
    assert.equal(letters[0]!.headers['saccade-error-code'], 'undecodable_image');
    assert.match(letters[0]!.headers['saccade-error']!, /torn/);
    assert.equal(letters[0]!.headers['saccade-stage'], 's');
    assert.equal(letters[0]!.headers['saccade-topic'], 'in');
    assert.deepEqual((await bySource(log, 'out')).c, [0, 1, 3, 4]);
    const outcomes = (await readAll(log, 'outcomes')).map(itemOf);
    assert.deepEqual(outcomes, [{ source: 'c', n: 2, status: 'dead_lettered', reason: 'undecodable_image' }]);
  });

  test('bytes that no schema reads are dead-lettered as they came', async () => {
    const log = await logWith('in', 'out');
    const producer = await log.producer();
    await producer.send([{ topic: 'in', key: 'a', value: Buffer.from('{torn') }, { topic: 'in', key: 'a', value: null }]);
    await offer(log, 'in', ['a'], 1);
    const pipeline = await pipelineOn(log, [step({ name: 's', process: passOn('out') }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    const letters = await readAll(log, 'in.dlq');
    assert.deepEqual(letters.map((l) => [l.headers['saccade-error-code'], l.value?.toString() ?? null]), [['undecodable_record', '{torn'], ['payload_empty', null]]);
    assert.deepEqual(await bySource(log, 'out'), { a: [0] });
  });

  test('a throw is halved until it has its culprit', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 30);
    const process = async (batch: readonly Input<Item>[]) => {
      if (batch.some(({ value }) => value.n === 17)) throw new TypeError('17 is unlucky');
      return passOn('out')(batch);
    };
    const pipeline = await pipelineOn(log, [step({ name: 's', process }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    const letters = await readAll(log, 'in.dlq');
    assert.deepEqual(letters.map((l) => itemOf(l).n), [17]);
    assert.equal((await bySource(log, 'out')).a!.length, 29);
  });

  test('a stage that answers too few outcomes, or an output nobody wired, loses nothing silently', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 4);
    const process = async (batch: readonly Input<Item>[]): Promise<Outcome[]> =>
      batch.length > 1 ? [] : [emit({ output: batch[0]!.value.n === 0 ? 'nowhere' : 'out', key: 'a', value: batch[0]!.value })];
    const pipeline = await pipelineOn(log, [step({ name: 's', process }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.deepEqual((await readAll(log, 'in.dlq')).map((l) => itemOf(l).n), [0]);
    assert.deepEqual(await bySource(log, 'out'), { a: [1, 2, 3] });
  });

  test('a fault of the environment is waited out and told, never dead-lettered', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 3);
    let away = true;
    const process = async (batch: readonly Input<Item>[]) =>
      away ? batch.map(() => retry(new SaccadeError('store_unavailable', 'gone fishing'))) : passOn('out')(batch);
    const pipeline = await pipelineOn(log, [step({ name: 's', process }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => /gone fishing/.test(pipeline.troubles().s ?? ''), 'the trouble to be told');
    assert.deepEqual(await log.committed('g.s', 'in'), []);
    away = false;
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    assert.deepEqual(pipeline.troubles(), {});
    await pipeline.stop(1000);
    assert.deepEqual(await bySource(log, 'out'), expected(3));
    assert.equal((await readAll(log, 'in.dlq')).length, 0);
  });

  test('work past its deadline is dropped before it is processed, with an outcome', async () => {
    const log = await logWith('in', 'out', 'outcomes');
    await offer(log, 'in', ['a'], 6);
    const processed: number[] = [];
    const pipeline = await pipelineOn(log, [
      step(
        {
          name: 's',
          async process(batch) {
            processed.push(...batch.map(({ value }) => value.n));
            return passOn('out')(batch);
          },
          deadline: ({ value }) => (value.n % 2 ? Date.now() - 1 : Date.now() + 60_000),
          account: (input, failure) => [{ output: 'outcomes', key: 'a', value: { ...input.value, ...failure } }],
        },
        'in',
        { out: 'out', outcomes: 'outcomes' },
      ),
    ]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.deepEqual(processed, [0, 2, 4]);
    const outcomes = (await readAll(log, 'outcomes')).map(itemOf) as (Item & { status: string; reason: string })[];
    assert.deepEqual(outcomes.map((o) => [o.n, o.status, o.reason]), [1, 3, 5].map((n) => [n, 'dropped', 'deadline']));
    assert.equal((await readAll(log, 'in.dlq')).length, 0);
  });

  test('a drop is recorded, not dead-lettered', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 3);
    const pipeline = await pipelineOn(log, [step({ name: 's', process: except(({ n }) => (n === 1 ? drop('superseded') : null)) }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.deepEqual(await bySource(log, 'out'), { a: [0, 2] });
    assert.equal((await readAll(log, 'in.dlq')).length, 0);
  });

  test('nothing is committed before its outputs are acknowledged; what was not is delivered again', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 5);
    const deaf = { send: () => new Promise<void>(() => {}), close: async () => {} };
    const steps = [step({ name: 's', process: passOn('out') }, 'in', { out: 'out' })];
    const first = await pipelineOn(log, steps, { producer: deaf });
    await first.start();
    await sleep(100);
    await first.stop(50);
    assert.deepEqual(await log.committed('g.s', 'in'), []);
    const second = await pipelineOn(log, steps);
    await second.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await second.stop(1000);
    assert.deepEqual(await bySource(log, 'out'), expected(5));
  });

  test('a stage that waits by itself is told when the process ends, and leaves the record to the next', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 1);
    let [waiting, wake] = [false, () => {}];
    const waits = step({ name: 's', drain: () => wake(), process: (batch) => new Promise((answer) => ((waiting = true), (wake = () => answer(batch.map(() => retry(new SaccadeError('store_unavailable'))))))) }, 'in', { out: 'out' });
    const first = await pipelineOn(log, [waits]);
    await first.start();
    await eventually(() => waiting, 'the record to be in work');
    const limit = new AbortController();
    const stopped = await Promise.race([first.stop(20_000).then(() => true), sleep(10_000, false, { signal: limit.signal })]);
    limit.abort();
    assert.ok(stopped, 'the limit is not waited for');
    assert.deepEqual(await log.committed('g.s', 'in'), []);
  });

  test('a group that is new begins with what comes where its step says so, and goes on from there', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 3);
    const run = async (count: number, from: number): Promise<void> => {
      const pipeline = await pipelineOn(log, [{ ...step({ name: 's', process: passOn('out') }, 'in', { out: 'out' }), begins: 'latest' }]);
      await pipeline.start();
      await offer(log, 'in', sources, count, from);
      await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
      await pipeline.stop(1000);
    };
    await run(2, 3);
    await offer(log, 'in', sources, 1, 5);
    await run(1, 6);
    const later = expected(7);
    assert.deepEqual(await bySource(log, 'out'), Object.fromEntries(sources.map((source) => [source, later[source]!.slice(3)])));
  });

  test('a producer that fails for a while delays, and keeps the order', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 10);
    const real = await log.producer();
    let failures = 3;
    const flaky = {
      ...real,
      async send(records: Parameters<typeof real.send>[0]) {
        failures -= 1;
        if (failures >= 0) throw new SaccadeError('log_unavailable');
        await real.send(records);
      },
    };
    const pipeline = await pipelineOn(log, [step({ name: 's', process: passOn('out', ({ n }) => n % 3) }, 'in', { out: 'out' })], { producer: flaky });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.deepEqual(await bySource(log, 'out'), expected(10));
  });

  test('bytes in flight stay under the limit and one fetch', async () => {
    const log = await logWith('in', 'out');
    const producer = await log.producer();
    const value = Buffer.from(JSON.stringify({ source: 'a', n: 0, padding: 'x'.repeat(10_000) }));
    for (let i = 0; i < 200; i++) await producer.send([{ topic: 'in', key: 'a', value }]);
    let inFlight = 0;
    let worst = 0;
    let open = false;
    const process = async (batch: readonly Input<Item>[]) => {
      while (!open) await sleep(5);
      inFlight -= batch.length;
      return passOn('out')(batch);
    };
    const counting = {
      ...log,
      consumer: (options: Parameters<typeof log.consumer>[0]) =>
        log.consumer({
          ...options,
          handlers: {
            ...options.handlers,
            records(generation, source, records) {
              inFlight += records.length;
              worst = Math.max(worst, inFlight);
              options.handlers.records(generation, source, records);
            },
          },
        }),
    };
    const limits = { inFlightBytes: 200_000, fetchBytes: 50_000, fetchBytesPerPartition: 50_000, maxRecordBytes: 1e6, commitIntervalMs: 5 };
    const pipeline = await pipelineOn(counting, [step({ name: 's', process }, 'in', { out: 'out' })], { limits });
    await pipeline.start();
    await eventually(() => inFlight * 10_000 > 190_000, 'the limit to be reached');
    await sleep(100);
    assert.ok(worst * 10_000 <= 260_000, `${worst} records of 10 KB in flight`);
    open = true;
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.equal((await readAll(log, 'out')).length, 200);
  });

  test('a second member takes its share and nothing is lost or out of order', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', sources, 30);
    const steps = () => [step({ name: 's', process: passOn('out', () => 2) }, 'in', { out: 'out' })];
    const first = await pipelineOn(log, steps());
    await first.start();
    await sleep(20);
    const second = await pipelineOn(log, steps());
    await second.start();
    await offer(log, 'in', sources, 30, 30);
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await Promise.all([first.stop(1000), second.stop(1000)]);
    for (const [source, numbers] of Object.entries(await bySource(log, 'out'))) {
      // Repeats are allowed between stages (they carry the same id); a gap is not, and first appearances are in order.
      assert.deepEqual([...new Set(numbers)], Array.from({ length: 60 }, (_, n) => n), `source ${source}`);
    }
  });

  test('a trace goes on through the headers, and one begins where none came', async () => {
    const log = await logWith('in', 'out');
    const producer = await log.producer();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await producer.send([{ topic: 'in', key: 'a', value: Buffer.from('{"source":"a","n":0}'), headers: { traceparent } }]);
    await offer(log, 'in', ['a'], 1, 1);
    const pipeline = await pipelineOn(log, [step({ name: 's', process: passOn('out') }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    const [with_, without] = await readAll(log, 'out');
    assert.equal(with_!.headers.traceparent, traceparent);
    assert.match(without!.headers.traceparent!, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });
});
