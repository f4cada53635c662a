import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { SaccadeError } from '../../connectors/errors.ts';
import type { ConsumerOptions, Log } from '../../connectors/ports.ts';
import { httpServer } from '../../processors/edge/server.ts';
import { openMode } from '../../processors/edge/principal.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { pausableProducer } from '../../processors/runtime/pausable-producer.ts';
import { type Input, type Outcome, retry } from '../../processors/stage.ts';
import { caughtUp, eventually, type Item, logWith, offer, passOn, pipelineOn, quiet, readAll, step } from '../support/pipeline.ts';

const stuckAfterMs = 300;
const limits = { inFlightBytes: 1e8, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1e6, commitIntervalMs: 5, stuckAfterMs };
const long = () => sleep(3 * stuckAfterMs);

type Process = (batch: readonly Input<Item>[]) => Promise<Outcome[]>;
const started = async (log: Log, process: Process, more: Parameters<typeof pipelineOn>[2] = {}) => {
  const pipeline = await pipelineOn(log, [step({ name: 's', process }, 'in', { out: 'out' })], { limits, ...more });
  await pipeline.start();
  return pipeline;
};

describe('liveness', () => {
  test('work that hangs fails /health with its reason, and /health is well again when it goes on', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 3);
    let go: (() => void) | null = null;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const pipeline = await started(log, async (batch) => (await gate, passOn('out')(batch)));
    const server = await httpServer({ metrics: new Registry(), troubles: pipeline.troubles, stuck: pipeline.stuck, startedAt: Date.now(), authenticate: openMode('default'), logger: quiet as never });
    const health = async () => {
      const answer = await server.app.inject('/health');
      return { code: answer.statusCode, body: answer.json<{ status: string; stuck?: Record<string, string> }>() };
    };
    assert.equal((await health()).code, 200);
    await eventually(async () => (await health()).code === 503, 'the standstill to be told');
    const { body } = await health();
    assert.equal(body.status, 'stuck');
    assert.match(body.stuck!.s!, /nothing has moved for \d+ s, with 3 records to do/);
    assert.deepEqual(pipeline.troubles(), {}, 'no reason is known');
    go!();
    await eventually(async () => (await health()).code === 200, 'it to be well again');
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    await server.close();
  });

  test('records that nobody fetches any more are a standstill too', async () => {
    const log = await logWith('in', 'out');
    let deaf = false;
    const consumer = (options: ConsumerOptions) =>
      log.consumer({ ...options, handlers: { ...options.handlers, records: (...args) => (deaf ? undefined : options.handlers.records(...args)) } });
    const pipeline = await started({ ...log, consumer }, passOn('out'));
    await offer(log, 'in', ['a'], 3);
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await long();
    assert.deepEqual(pipeline.stuck(), {}, 'an empty topic is none');
    deaf = true;
    await offer(log, 'in', ['a'], 2, 3);
    await eventually(() => /with 2 records/.test(pipeline.stuck().s ?? ''), 'the standstill to be told');
    await pipeline.stop(100);
  });

  test('slow work that goes on is none, however long all of it takes', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 12);
    const batch = { records: 1, bytes: 1e9, waitMs: 0, concurrency: 1 };
    const process: Process = async (inputs) => (await sleep(stuckAfterMs / 3), passOn('out')(inputs));
    const pipeline = await pipelineOn(log, [step({ name: 's', process, batch }, 'in', { out: 'out' })], { limits: { ...limits, stuckAfterMs: 3 * stuckAfterMs } });
    await pipeline.start();
    let everStuck = false;
    await eventually(async () => ((everStuck ||= 's' in pipeline.stuck()), await caughtUp(log, 'g.s', 'in')), 'all committed');
    assert.equal(everStuck, false);
    await pipeline.stop(1000);
  });

  test('writing that a command holds is none', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 3);
    const producer = await pausableProducer(() => log.producer(), systemClock, quiet as never);
    await producer.hold('out');
    const pipeline = await started(log, passOn('out'), { producer });
    await long();
    const said = pipeline.stuck();
    const through = await caughtUp(log, 'g.s', 'in');
    await producer.release('out');
    await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.deepEqual([said, through], [{}, false]);
  });

  test('off, it never speaks', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 3);
    const pipeline = await started(log, () => new Promise(() => {}), { limits: { ...limits, stuckAfterMs: 0 } });
    await long();
    assert.deepEqual(pipeline.stuck(), {});
    await pipeline.stop(10);
  });

  describe('a fault of the environment is none, is told, is tried again at a pace, and condemns nobody', () => {
    for (const code of ['store_unavailable', 'blobs_unavailable', 'registry_unavailable', 'engine_unavailable', 'log_unavailable'] as const) {
      test(code, async () => {
        const log = await logWith('in', 'out');
        await offer(log, 'in', ['a', 'b'], 10);
        let away = true;
        let tries = 0;
        const fault = () => ((tries += 1), new SaccadeError(code, 'it is away'));
        const process: Process = async (batch) => (away && code !== 'log_unavailable' && code !== 'registry_unavailable' ? batch.map(() => retry(fault())) : passOn('out')(batch));
        const real = await log.producer();
        const producer = { ...real, send: async (records: Parameters<typeof real.send>[0]) => (away && code === 'log_unavailable' ? Promise.reject(fault()) : real.send(records)) };
        const registry = {
          kind: 'files' as const,
          prepare: async () => {},
          encode: async (_topic: string, value: unknown) => Buffer.from(JSON.stringify(value)),
          decode: async (_topic: string, bytes: Buffer) => (away && code === 'registry_unavailable' ? Promise.reject(fault()) : (JSON.parse(bytes.toString()) as unknown)),
        };
        const batch = { records: 100, bytes: 1e9, waitMs: 0, concurrency: 1 };
        const pipeline = await pipelineOn(log, [step({ name: 's', process, batch }, 'in', { out: 'out' })], { limits, producer, registry });
        await pipeline.start();
        await eventually(() => /it is away/.test(pipeline.troubles().s ?? ''), 'the fault to be told');
        await long();
        assert.deepEqual(pipeline.stuck(), {});
        // 20 records at each attempt at most; waits of 100, 200, 400 ms and more lie between two.
        const attempts = code === 'log_unavailable' ? tries : tries / 20;
        assert.ok(attempts <= 6, `${attempts} attempts within a second: a hot loop`);
        away = false;
        await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed', 40_000);
        assert.deepEqual(pipeline.troubles(), {});
        await pipeline.stop(1000);
        assert.equal((await readAll(log, 'in.dlq')).length, 0);
        assert.equal((await readAll(log, 'out')).length, 20);
      });
    }
  });
});

