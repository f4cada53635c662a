/** Quotas, lanes and room: on an injected clock where time decides, on the in-process log where order does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import type { Clock, Log, LogRecord } from '../connectors/ports.ts';
import { type Admission, createAdmission } from '../processors/admission.ts';
import { ingestStage } from '../processors/ingest/ingest.ts';
import { passage } from '../processors/ingest/passage.ts';
import { quota } from '../processors/ingest/quota.ts';
import { type Behind, room } from '../processors/ingest/room.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { runtimeMetrics } from '../processors/runtime/metrics.ts';
import type { Pipeline } from '../processors/runtime/pipeline.ts';
import type { Input, Outcome, Stage } from '../processors/stage.ts';
import { groupOf, type StageFamily, topology } from '../processors/topology.ts';
import type { Model } from '../schemas/model-card.ts';
import type { Frame } from '../schemas/records.ts';
import { ingestOf, admissionTopic, overflowTopic, topicSpecs } from '../schemas/topics.ts';
import { caughtUp, eventually, pipelineOn, readAll } from './support/pipeline.ts';

describe('the quota of a source', () => {
  const rules = { framesPerSecond: 10, burst: 5, calmMs: 1_000 };

  test('a burst goes in, then as many as the rate allows; neighbours have their own', () => {
    const limited = quota(rules);
    assert.deepEqual(Array.from({ length: 7 }, () => limited.take('a', 0)), [true, true, true, true, true, false, false]);
    assert.equal(limited.take('b', 0), true);
    assert.equal(limited.take('a', 99), false);
    assert.equal(limited.take('a', 199), true);
    // Two seconds at twice the rate: half of it is over.
    const taken = Array.from({ length: 40 }, (_, i) => limited.take('c', i * 50));
    assert.ok(taken.filter((ok) => !ok).length >= 14);
  });

  test('a backlog that is read at once counts by when its frames came', () => {
    const limited = quota(rules);
    assert.ok(Array.from({ length: 600 }, (_, i) => limited.take('a', i * 100)).every((ok) => ok));
  });

  test('calm only when it has kept to the rate for a while; a clock set back gives nothing back', () => {
    const limited = quota(rules);
    for (let i = 0; i < 6; i += 1) limited.take('a', 5_000);
    assert.equal(limited.calm('a', 5_999), false);
    assert.equal(limited.calm('a', 6_000), true);
    assert.equal(limited.take('a', 0), false);
    assert.equal(limited.calm('never seen', 0), true);
  });

  test('sources that are as they were before are forgotten', () => {
    const limited = quota(rules);
    for (let i = 0; i < 30_000; i += 1) limited.take(`source-${i}`, i * 10);
    assert.ok(limited.size <= 10_001, `${limited.size} are remembered`);
  });
});

describe('what has left a lane', () => {
  test('only what was committed before the end that the reader has passed', async () => {
    const state = { committed: 5, end: 8, from: 3 };
    const lane = passage({ committed: async () => [{ partition: 0, offset: state.committed }], lane: async () => [{ partition: 0, from: state.from, end: state.end }, { partition: 1, from: 0, end: 0 }] });
    await lane.look();
    assert.equal(lane.passed(0, 5), false, 'the reader is behind the end');
    state.committed = 9;
    state.end = 12;
    state.from = 8;
    await lane.look();
    assert.equal(lane.passed(0, 5), true);
    assert.equal(lane.passed(0, 6), false, 'what came later may lie behind the first end');
    state.from = 12;
    await lane.look();
    assert.equal(lane.passed(0, 9), true);
    assert.equal(lane.passed(1, 1), false, 'nobody has said anything of another partition');
  });
});

describe('room in the chain behind', () => {
  /** Time passes only while somebody sleeps. */
  function world(behind: (now: number) => Behind) {
    let now = 0;
    const clock: Clock = { now: () => now, sleep: async (ms) => void (now += ms) };
    const spare = room({ clock, look: async () => [behind(now)] });
    const takenIn = async (ms: number): Promise<number> => {
      const until = now + ms;
      let taken = 0;
      while (now < until) taken += await spare.take(8, () => now >= until);
      return taken;
    };
    return { takenIn };
  }

  test('a trickle goes while what waits is long, and much when it is short again', async () => {
    let lag = 1_000;
    const { takenIn } = world(() => ({ lag, done: 0 }));
    const trickle = await takenIn(10_000);
    assert.ok(trickle >= 8 && trickle <= 10, `one a second, not ${trickle} in ten`);
    lag = 0;
    const first = await takenIn(2_000);
    const later = await takenIn(2_000);
    assert.ok(first > 0 && later > 2 * first, `${first}, then ${later}`);
  });

  test('it settles at what the chain can bear, and leaves little waiting', async () => {
    const perSecond = 50;
    let [sent, done, at] = [0, 0, 0];
    const { takenIn } = world((now) => {
      done = Math.min(sent, done + ((now - at) * perSecond) / 1000);
      at = now;
      return { lag: sent - done, done };
    });
    let longest = 0;
    let taken = 0;
    for (let i = 0; i < 600; i += 1) {
      const some = await takenIn(50);
      sent += some;
      if (i < 200) continue;
      taken += some;
      longest = Math.max(longest, sent - done);
    }
    assert.ok(taken / 20 > 0.7 * perSecond, `${taken / 20} a second of ${perSecond}`);
    assert.ok(longest < perSecond, `${longest} waited`);
  });
});

describe('the lanes', () => {
  const models = [{ card: { name: 'm', version: '1' } }] as unknown as Model[];
  const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0]);
  const rules = { framesPerSecond: 10, burst: 5, calmMs: 1_000 };
  /** The past, since a frame cannot come later than now. */
  const then = Date.now() - 3_600_000;

  async function newLog(): Promise<Log> {
    const log = memoryLog();
    await log.ensureTopics(topicSpecs(['m'], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }, ['frames.in.acme']));
    return log;
  }

  async function offer(log: Log, source: string, first: number, count: number, at: (i: number) => number, topic = 'frames.in'): Promise<void> {
    const producer = await log.producer();
    await producer.send(Array.from({ length: count }, (_, i) => ({ topic, key: source, value: jpeg, headers: { tenant: 'forged', sequence: `${first + i}`, id: `${first + i}` }, timestamp: at(i) })));
    await producer.close();
  }

  const preprocess: Stage<Frame> = {
    name: 'preprocess',
    batch: { records: 4, bytes: 1e9, waitMs: 0, concurrency: 2 },
    process: async (batch: readonly Input<Frame>[]): Promise<Outcome[]> =>
      batch.map(({ value: { source, sequence } }) => ({ kind: 'emit', records: [{ output: 'm', key: source, value: { source, sequence } }] })),
  };
  /** Answers at once, so that there is always room. */
  const infer: Stage<unknown> = { name: 'infer.m', batch: preprocess.batch, process: async (batch) => batch.map((): Outcome => ({ kind: 'emit', records: [] })) };

  async function start(log: Log, stages: readonly StageFamily[]): Promise<{ stop(): Promise<void>; pipeline: Pipeline; admission: Admission }> {
    const producer = await log.producer();
    const admission = createAdmission({ log, producer, clock: systemClock, models: () => ['m'], tenantTopics: ['frames.in.acme'], rules });
    const cast = (stage: unknown): Stage<never> => stage as Stage<never>;
    const pipeline = await pipelineOn(
      log,
      topology(stages, models, {
        ingest: () =>
          Object.fromEntries([['frames.in', 't'], ['frames.in.acme', 'acme']].map(([topic, tenant]) =>
            [topic!, cast(ingestStage({ name: ingestOf(topic!), rules: { maxImageBytes: 1e6, claimCheckBytes: 1e6, models: ['m'], blobs: memoryBlobs() }, tenant: tenant!, lanes: admission.lanesOf(topic!) }))])),
        preprocess: () => cast(preprocess),
        overflow: () => admission.overflow,
        infer: () => () => cast(infer),
        sink: () => assert.fail('no sink here'),
        keep: () => assert.fail('nothing is kept here'),
        drift: () => assert.fail('no drift here'),
      }),
    );
    await pipeline.start();
    return {
      pipeline,
      admission,
      async stop() {
        admission.release();
        await pipeline.stop(2_000);
        await admission.close();
      },
    };
  }

  const of = (records: readonly LogRecord[], source: string): number[] =>
    records.filter(({ key }) => key?.toString() === source).map(({ value }) => (JSON.parse(value!.toString()) as { sequence: number }).sequence);
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const ingested = (log: Log) => eventually(() => caughtUp(log, groupOf('ingest'), 'frames.in'), 'all is ingested');
  const drained = (log: Log) =>
    eventually(async () => (await caughtUp(log, groupOf('preprocess'), 'frames')) && (await caughtUp(log, groupOf('preprocess.overflow'), overflowTopic)), 'both lanes are empty');

  test('a flood goes over whole, its neighbour stays, both keep their order, and the lane is empty at last', async () => {
    const log = await newLog();
    await offer(log, 'flood', 0, 30, () => then);
    await offer(log, 'slow', 0, 5, (i) => then + i * 500);
    await offer(log, 'flood', 30, 30, () => then + 100);
    const run = await start(log, ['ingest', 'preprocess', 'infer']);
    await ingested(log);
    await drained(log);
    await run.stop();
    assert.deepEqual(of(await readAll(log, 'frames'), 'slow'), upTo(5));
    assert.deepEqual(of(await readAll(log, 'frames'), 'flood'), upTo(5), 'its burst');
    assert.deepEqual(of(await readAll(log, overflowTopic), 'flood'), upTo(60).slice(5));
    const tensors = await readAll(log, 'tensors.m');
    assert.deepEqual(of(tensors, 'flood'), upTo(60));
    assert.deepEqual(of(tensors, 'slow'), upTo(5));
    await log.close();
  });

  test("a tenant's own topic has quotas of its own: a source of the same name elsewhere is none the worse, and no header makes a frame another tenant's", async () => {
    const log = await newLog();
    await offer(log, 'gate', 0, 60, () => then, 'frames.in.acme');
    await offer(log, 'gate', 0, 5, (i) => then + i * 500);
    const run = await start(log, ['ingest', 'preprocess', 'infer']);
    await ingested(log);
    await eventually(() => caughtUp(log, groupOf('ingest.acme'), 'frames.in.acme'), 'the other input too');
    await drained(log);
    await run.stop();
    const tenants = (records: readonly LogRecord[]): Record<string, number[]> => {
      const frames = records.map(({ value }) => JSON.parse(value!.toString()) as { tenant: string; sequence: number });
      return Object.fromEntries(['t', 'acme', 'forged'].map((name) => [name, frames.filter(({ tenant }) => tenant === name).map(({ sequence }) => sequence)]));
    };
    assert.deepEqual(tenants(await readAll(log, 'frames')), { t: upTo(5), acme: upTo(5), forged: [] });
    assert.deepEqual(tenants(await readAll(log, overflowTopic)), { t: [], acme: upTo(60).slice(5), forged: [] });
    assert.match((await readAll(log, overflowTopic))[0]!.headers['saccade-after'] ?? '', /^0@5@frames\.in\.acme$/);
    await log.close();
  });

  test('nor does a source that is named like one of a tenant, or of a stream, use up its quota', async () => {
    const log = await newLog();
    for (const name of ['frames.in.acme/gate', 'stream/acme/gate']) await offer(log, name, 0, 5, () => then);
    await offer(log, 'gate', 0, 5, () => then, 'frames.in.acme');
    const run = await start(log, ['ingest', 'preprocess', 'infer']);
    await ingested(log);
    await eventually(() => caughtUp(log, groupOf('ingest.acme'), 'frames.in.acme'), 'the other input too');
    assert.equal(run.admission.quota!.take('stream/acme/gate', then), true);
    await drained(log);
    await run.stop();
    assert.deepEqual(await readAll(log, overflowTopic), []);
    await log.close();
  });

  test('the overflow lane waits for what its source has in the usual one, even when it alone is read', async () => {
    const log = await newLog();
    await offer(log, 'flood', 0, 30, () => then);
    const first = await start(log, ['ingest']);
    await ingested(log);
    await first.stop();
    // A frame that says that it waits for what nobody has ingested yet.
    const producer = await log.producer();
    const [some] = (await readAll(log, overflowTopic)).slice(-1);
    await producer.send([{ topic: overflowTopic, key: 'other', value: some!.value, headers: { 'saccade-after': '0@31' } }]);
    const second = await start(log, ['preprocess', 'infer']);
    await eventually(async () => (await log.committed(groupOf('preprocess.overflow'), overflowTopic))[0]?.offset === 24, 'the flood is through but for what shares a batch with it');
    assert.equal((await readAll(log, 'tensors.m')).length, 29);
    await offer(log, 'slow', 0, 2, () => then + 60_000);
    const third = await start(log, ['ingest']);
    await drained(log);
    assert.deepEqual(of(await readAll(log, 'tensors.m'), 'flood'), [...upTo(30), 29]);
    await Promise.all([second.stop(), third.stop()]);
    await log.close();
  });

  test('after a restart in between it is still over; calm and with its lane empty, it comes back, in order', async () => {
    const log = await newLog();
    await offer(log, 'flood', 0, 30, () => then);
    const first = await start(log, ['ingest']);
    await ingested(log);
    await first.stop();
    // Slow enough for any quota, long after; but its flood has not been read yet.
    await offer(log, 'flood', 30, 5, (i) => then + 60_000 + i * 1_000);
    const second = await start(log, ['ingest', 'preprocess', 'infer']);
    await ingested(log);
    assert.deepEqual(of(await readAll(log, 'frames'), 'flood'), upTo(5));
    await drained(log);
    let count = 35;
    await eventually(async () => {
      await offer(log, 'flood', count, 1, () => then + 60_000 + count * 1_000);
      count += 1;
      await ingested(log);
      await new Promise((resolve) => setTimeout(resolve, 600));
      return of(await readAll(log, 'frames'), 'flood').length > 5;
    }, 'it is back');
    await drained(log);
    await second.stop();
    assert.deepEqual(of(await readAll(log, 'tensors.m'), 'flood'), upTo(count));
    const table = new Map((await readAll(log, admissionTopic)).map(({ key, value }) => [key!.toString(), value]));
    assert.equal(table.get('source/flood'), null);
    await log.close();
  });
});

test('drops are counted by source, and the sources named are bounded', async () => {
  const registry = new Registry();
  const stage = runtimeMetrics(registry).stage('preprocess');
  for (let i = 0; i < 150; i += 1) stage.dropped('deadline', `camera-${i}`);
  const text = await registry.metrics();
  assert.match(text, /saccade_source_dropped_records_total\{source="camera-99",reason="deadline"\} 1/);
  assert.match(text, /saccade_source_dropped_records_total\{source="other",reason="deadline"\} 50/);
});
