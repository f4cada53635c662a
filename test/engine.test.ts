import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SaccadeError } from '../connectors/errors.ts';
import type { Clock } from '../connectors/ports.ts';
import { usableCpus } from '../processors/infer/cpus.ts';
import type { Engine, EngineOptions, RowInput, RowResult } from '../processors/infer/engine.ts';
import type { Model } from '../schemas/model-card.ts';
import { engineWith, modelsNamed, row } from './support/models.ts';

const [faces, lite] = (await modelsNamed('ultraface', 'efficientnet-lite0')) as [Model, Model];
const faceBytes = 240 * 320 * 3;
const liteBytes = 224 * 224 * 3;
const grey = (bytes: number, value = 127): RowInput => row(new Uint8Array(bytes).fill(value));
const deadly = (): RowInput => row(Uint8Array.from({ length: faceBytes }, (_, i) => (i % 2 === 0 ? 13 : 37)));
const codes = (results: readonly RowResult[]): string[] => results.map((result) => (result.ok ? 'ok' : result.error.code));

const invalid = (word: string) => (error: unknown) => error instanceof SaccadeError && error.code === 'invalid_model' && error.message.includes(word);

/** Waits are over at once; how long they should have been is kept. */
function impatient(): Clock & { readonly waits: number[] } {
  const waits: number[] = [];
  return { waits, now: Date.now, sleep: async (ms) => void waits.push(ms) };
}

const engines: Engine[] = [];
after(() => Promise.all(engines.map((engine) => engine.close())));

async function start({ models = [faces, lite], ...options }: Partial<EngineOptions> & { models?: readonly Model[] } = {}): Promise<Engine> {
  const engine = await engineWith(models, options.clock ?? impatient(), options);
  engines.push(engine);
  return engine;
}

describe('an engine', () => {
  test('answers rows in order, each with its own outputs', async () => {
    const engine = await start();
    const batching = await start({ maxBatch: 8, workers: 1 });
    const rows = [0, 80, 160, 240].map((value) => grey(liteBytes, value));
    // The first call's row keeps the only worker busy, so that the four behind it leave in one batch.
    const [together, , batched] = await Promise.all([
      engine.run(lite, rows),
      batching.run(faces, [grey(faceBytes)]),
      batching.run(lite, rows),
    ]);
    assert.deepEqual(codes(together), ['ok', 'ok', 'ok', 'ok']);
    assert.equal(new Set(batched.map((result) => result.ok && result.ms)).size, 1, 'one run for all four');
    for (const [i, one] of rows.entries()) {
      const [alone] = await engine.run(lite, [one], { alone: true });
      assert.ok(alone!.ok && together[i]!.ok);
      assert.deepEqual(together[i]!.outputs, alone!.outputs);
      // Another batch size, another order of additions: equal but for rounding.
      const inBatch = batched[i]!;
      assert.ok(inBatch.ok);
      for (const [c, p] of inBatch.outputs.probabilities!.entries()) assert.ok(Math.abs(p - alone!.outputs.probabilities![c]!) < 0.005);
      assert.equal(alone!.outputs.embedding!.length, 1280);
    }
    assert.notDeepEqual(together[0], together[3]);
    assert.equal(rows[0]!.pixels.length, liteBytes, 'what was passed in is still the caller\'s');
  });

  test('runs half of what somebody waits for at a time, so that answers leave while the rest is run', async () => {
    const runsOf = async (options: Partial<EngineOptions>, urgent: boolean): Promise<number> => {
      const engine = await start({ models: [faces, lite], maxBatch: 8, workers: 1, ...options });
      const rows = [0, 80, 160, 240].map((value): RowInput => ({ ...grey(liteBytes, value), urgent }));
      // The first call's row keeps the only worker busy: the four behind it are there when it is done.
      const [, results] = await Promise.all([engine.run(faces, [grey(faceBytes)]), engine.run(lite, rows)]);
      assert.deepEqual(codes(results), ['ok', 'ok', 'ok', 'ok']);
      return new Set(results.map((result) => result.ok && result.ms)).size;
    };
    assert.equal(await runsOf({}, true), 3, 'two, one, one');
    assert.equal(await runsOf({}, false), 1);
    assert.equal(await runsOf({ delayMs: 2 }, true), 1, 'company saves something');
  });

  test('answers by every worker where all its models were unloaded and another is loaded', async () => {
    const engine = await start({ models: [faces] });
    await engine.unload(faces);
    await engine.load(lite);
    const results = await engine.run(lite, Array.from({ length: 12 }, () => grey(liteBytes)));
    assert.deepEqual([...new Set(codes(results))], ['ok']);
    assert.equal(engine.trouble(), null);
  });

  test('says what it chose and what a row costs when warm', async () => {
    const engine = await start({ maxBatch: null });
    assert.deepEqual([engine.workers, engine.trouble()], [2, null]);
    for (const model of [faces, lite]) {
      const { provider, policy } = engine.about(model);
      assert.equal(provider, 'cpu');
      assert.deepEqual(policy.measured.slice(0, 2).map(({ rows }) => rows), [1, 2]);
      assert.ok(policy.measured.every(({ ms }) => ms > 0));
      assert.ok(policy.measured.some(({ rows }) => rows === policy.rows));
      assert.equal(policy.buckets.at(-1), policy.rows);
    }
  });

  test('goes on to the next provider when one refuses, and says so', async () => {
    // No platform has both.
    const refusing = process.platform === 'darwin' ? 'dml' : 'coreml';
    const said: string[] = [];
    const engine = await start({ providers: [refusing, 'cpu'], log: (message) => said.push(message) });
    assert.equal(engine.about(faces).provider, 'cpu');
    assert.ok(said.some((line) => line.includes('refused') && line.includes(refusing)), said.join('\n'));
    await assert.rejects(start({ providers: [refusing] }), invalid(refusing));
  });

  test('refuses a graph that is none, or that is not what its card says', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'saccade-engine-'));
    t.after(() => rm(folder, { recursive: true }));
    const path = join(folder, 'model.onnx');
    await writeFile(path, 'not a graph');
    await assert.rejects(start({ models: [{ ...faces, path }] }), invalid(path));
    const lying = { ...faces, card: { ...faces.card, outputs: { faces: { shape: '[N,100,6]', meaning: '' } } } };
    await assert.rejects(start({ models: [lying] }), invalid('[N,100,6]'));
  });

  test('refuses rows of another size, and models it does not have', async () => {
    const engine = await start();
    assert.deepEqual(codes(await engine.run(faces, [grey(99)])), ['inference_failed']);
    assert.deepEqual(codes(await engine.run({ ...faces, card: { ...faces.card, version: '9' } }, [grey(99)])), ['unknown_model']);
  });

  test('refuses what its queue has no room for, yet any call when nothing waits', async () => {
    const engine = await start({ workers: 1, queueBytes: faceBytes });
    const rows = Array.from({ length: 3 }, () => grey(faceBytes));
    const [first, second] = await Promise.all([engine.run(faces, rows), engine.run(faces, rows)]);
    assert.deepEqual(codes(first), ['ok', 'ok', 'ok']);
    assert.deepEqual(codes(second), ['overloaded', 'overloaded', 'overloaded']);
    assert.deepEqual(codes(await engine.run(faces, rows)), ['ok', 'ok', 'ok']);
  });

  test('does not run a row that is late when its turn comes, nor counts it into the size of a run', async () => {
    let now = 1_000;
    const clock: Clock = { now: () => now, sleep: async () => {} };
    const engine = await start({ workers: 1, maxBatch: 2, clock });
    const rows = [null, 1_000, 2_000, null].map((deadline): RowInput => ({ ...grey(faceBytes), deadline }));
    const busy = engine.run(faces, [grey(faceBytes)]);
    const waiting = engine.run(faces, rows);
    // They wait behind the only worker's row; meanwhile one deadline passes, and the other is reached, not passed.
    now = 2_000;
    assert.deepEqual(codes(await busy), ['ok']);
    const results = await waiting;
    assert.deepEqual(codes(results), ['ok', 'deadline_exceeded', 'ok', 'ok']);
    assert.ok(!results[1]!.ok && !results[1]!.crashed);
    const runs = results.map((result) => result.ok && result.ms);
    assert.equal(runs[0], runs[2], 'a full run is made of those that are not late');
    assert.deepEqual(codes(await engine.run(faces, [{ ...grey(faceBytes), deadline: 1_999 }])), ['deadline_exceeded'], 'an idle worker does not run it either');
  });

  test('gives back what waits when the caller is told to stop', async () => {
    const engine = await start({ workers: 1 });
    const stop = new AbortController();
    const running = engine.run(faces, [1, 2, 3].map(() => grey(faceBytes)), { signal: stop.signal });
    const others = engine.run(faces, [grey(faceBytes)]);
    stop.abort();
    assert.deepEqual(codes(await running), ['ok', 'engine_unavailable', 'engine_unavailable']);
    assert.deepEqual(codes(await others), ['ok']);
    assert.deepEqual(codes(await engine.run(faces, [grey(faceBytes)], { signal: stop.signal })), ['engine_unavailable']);
  });
});

describe('a worker that dies', () => {
  const entry = new URL('./reference/mortal-worker.mjs', import.meta.url);

  test('is replaced; its row says so, the rows behind it are answered', async () => {
    const engine = await start({ workers: 1, entry });
    const results = await engine.run(faces, [grey(faceBytes), deadly(), grey(faceBytes), grey(faceBytes)]);
    assert.deepEqual(codes(results), ['ok', 'engine_unavailable', 'ok', 'ok']);
    assert.ok(!results[1]!.ok && results[1]!.crashed && results[1]!.error.retryable);
    assert.equal(engine.trouble(), null);
  });

  test('again and again makes the next one wait longer', async () => {
    const clock = impatient();
    const engine = await start({ workers: 1, entry, clock });
    for (let i = 0; i < 3; i++) assert.deepEqual(codes(await engine.run(faces, [deadly()])), ['engine_unavailable']);
    await engine.run(faces, [grey(faceBytes)]);
    await engine.run(faces, [deadly()]);
    assert.deepEqual(codes(await engine.run(faces, [grey(faceBytes)])), ['ok']);
    assert.deepEqual(clock.waits, [100, 200, 400, 100]);
  });

  test('leaves a trouble to be told of until the next one is warm', async () => {
    const restarts: (() => void)[] = [];
    const clock: Clock = { now: Date.now, sleep: () => new Promise((resolve) => restarts.push(resolve)) };
    const engine = await start({ workers: 1, entry, clock });
    await engine.run(faces, [deadly()]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.match(engine.trouble()!, /exit code 7/);
    const answer = engine.run(faces, [grey(faceBytes)]);
    restarts[0]!();
    assert.deepEqual(codes(await answer), ['ok']);
    assert.equal(engine.trouble(), null);
  });
});

describe('a process with an engine', () => {
  for (const way of ['exit', 'by itself']) {
    test(`ends cleanly after close (${way})`, async () => {
      const script = fileURLToPath(new URL('./reference/engine-lifecycle.ts', import.meta.url));
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, way], { timeout: 60_000 });
      assert.equal(stdout.trim(), 'ok ok engine_unavailable engine_unavailable engine_unavailable engine_unavailable');
      assert.equal(stderr, '');
    });
  }
});

describe('the number of processors', () => {
  test('is what the container\'s quota leaves', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'saccade-cgroup-'));
    t.after(() => rm(root, { recursive: true }));
    const all = usableCpus(root);
    assert.ok(all >= 1);
    await writeFile(join(root, 'cpu.max'), '50000 100000\n');
    assert.equal(usableCpus(root), 1);
    await writeFile(join(root, 'cpu.max'), 'max 100000\n');
    assert.equal(usableCpus(root), all);
    await rm(join(root, 'cpu.max'));
    await mkdir(join(root, 'cpu'));
    await writeFile(join(root, 'cpu', 'cpu.cfs_quota_us'), '10000');
    await writeFile(join(root, 'cpu', 'cpu.cfs_period_us'), '100000');
    assert.equal(usableCpus(root), 1);
    await writeFile(join(root, 'cpu', 'cpu.cfs_quota_us'), '-1');
    assert.equal(usableCpus(root), all);
  });
});
