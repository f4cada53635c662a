/**
 * What the cache of answers costs a frame whose picture never repeats, and what it saves one whose picture does. Through
 * preprocess and infer themselves, without topics; the set-ups in turn within each round. Milliseconds.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { answerCache } from '../connectors/cache/answers.ts';
import { memoryCache } from '../connectors/cache/memory.ts';
import { redisCache } from '../connectors/cache/redis.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import type { AnswerCache, Cache } from '../connectors/ports.ts';
import { inferConfig } from '../processors/infer/config.ts';
import { createEngine, type Engine } from '../processors/infer/engine.ts';
import { inferStage } from '../processors/infer/infer.ts';
import { always } from '../test/support/models.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { preprocessStage } from '../processors/preprocess/preprocess.ts';
import { systemClock as clock } from '../processors/runtime/clock.ts';
import type { Input } from '../processors/stage.ts';
import { decodeAnswer, encodeAnswer, type KnownAnswer } from '../schemas/known-answer.ts';
import type { Frame, Tensor } from '../schemas/records.ts';
import { distinct } from './distinct.ts';
import { quantile } from './quantiles.ts';
import { fixedModels } from '../schemas/model-set.ts';

const picture = readFileSync(new URL('../media/coffee.jpg', import.meta.url));
const modelName = 'efficientnet-lite0';
/** As the runtime gives them to preprocess. */
const together = 16;

const digits = (value: number): number => Number(value.toPrecision(3));
const median = (values: readonly number[]): number => digits(quantile(values, 0.5));

/** Median milliseconds of a call. */
async function timed(count: number, call: (i: number) => unknown): Promise<{ p50: number; p95: number }> {
  const ms: number[] = [];
  for (let i = 0; i < count; i++) {
    const from = performance.now();
    await call(i);
    ms.push(performance.now() - from);
  }
  return { p50: median(ms), p95: digits(quantile(ms, 0.95)) };
}

async function lookUps(caches: ReadonlyMap<string, Cache>): Promise<Record<string, { p50: number; p95: number }>> {
  const found: Record<string, { p50: number; p95: number }> = {};
  for (const kilobytes of [30, 100, 1000]) {
    const bytes = randomBytes(kilobytes * 1000);
    found[`sha-256 of ${kilobytes} KB`] = await timed(300, () => createHash('sha256').update(bytes).digest());
  }
  const answer = answerWithEmbedding();
  const value = encodeAnswer('key', answer);
  found['an answer to bytes'] = await timed(300, () => encodeAnswer('key', answer));
  found['an answer from bytes'] = await timed(300, () => decodeAnswer('key', value));
  for (const [name, cache] of caches) {
    const keys = Array.from({ length: together }, (_, i) => `bench:${i}`);
    for (const key of keys) await cache.set(key, value, 600_000);
    found[`${name}: 1 key, found`] = await timed(300, () => cache.get(keys.slice(0, 1)));
    found[`${name}: ${together} keys, found`] = await timed(300, () => cache.get(keys));
    found[`${name}: ${together} keys, missed`] = await timed(300, (n) => cache.get(keys.map((key) => `${key}:${n}`)));
  }
  return found;
}

/** As a classifier's with its embedding of 1,280 floats: the largest there is. */
const answerWithEmbedding = (): KnownAnswer => ({
  version: '2',
  task: 'classification',
  labels: Array.from({ length: 5 }, (_, class_id) => ({ class_id, label: 'a class of pictures', score: Math.fround(Math.random()) })),
  detections: [],
  embedding: randomBytes(1_280 * 4),
  image_width: 600,
  image_height: 400,
  quality: { luma: 100.123456789, contrast: 50.123456789, sharpness: 900.123456789, saturation: 0.123456789, entropy: 7.123456789 },
});

let frames = 0;
function inputOf(image: Buffer): Input<Frame> {
  const id = `bench-${++frames}`;
  const value: Frame = {
    id,
    tenant: 't',
    source: 'bench',
    sequence: null,
    captured_at: 0,
    accepted_at: 0,
    deadline: null,
    reply: null,
    content_type: 'image/jpeg',
    size: image.length,
    image,
    claim: null,
    models: [modelName],
  };
  return asInput(value);
}
const asInput = <T extends { source: string }>(value: T): Input<T> => ({
  value,
  key: value.source,
  headers: {},
  bytes: 1,
  receivedAt: clock.now(),
  attempt: 1,
  origin: { cluster: 'c', topic: 't', partition: 0, offset: 0, timestamp: 0 },
});

interface Way {
  /** Wall-clock and processor milliseconds a frame, and how many were cached. */
  run(pictures: readonly Buffer[]): Promise<{ ms: number; cpu: number; cached: number }>;
  stop(): Promise<void>;
}

async function wayWith(answers: AnswerCache | null, engineOf: Engine, models: Awaited<ReturnType<typeof loadModels>>): Promise<Way> {
  const preprocess = preprocessStage({ models: fixedModels(models), blobs: memoryBlobs(), limits: preprocessConfig.parse({}), clock, cache: answers && { answers, live: true, except: [] } });
  const infer = inferStage({ serving: always(models[0]!), engine: engineOf, clock, answers });
  await preprocess.start?.();

  async function batch(pictures: readonly Buffer[]): Promise<number> {
    let cached = 0;
    const outcomes = await preprocess.process(pictures.map(inputOf), new AbortController().signal);
    await Promise.all(
      outcomes.map(async (outcome) => {
        if (outcome.kind !== 'emit') throw new SaccadeError('internal', `preprocess ended with ${outcome.kind}`);
        const [answer] = await infer.process([asInput(outcome.records[0]!.value as Tensor)], new AbortController().signal);
        if (answer?.kind !== 'emit') throw new SaccadeError('internal', `infer ended with ${answer?.kind}`);
        if ((answer.records[0]!.value as { cached: boolean }).cached) cached++;
      }),
    );
    return cached;
  }

  return {
    async run(pictures) {
      let cached = 0;
      const [from, cpu] = [performance.now(), process.cpuUsage()];
      for (let at = 0; at < pictures.length; at += together) cached += await batch(pictures.slice(at, at + together));
      const { user, system } = process.cpuUsage(cpu);
      return { ms: (performance.now() - from) / pictures.length, cpu: (user + system) / 1000 / pictures.length, cached };
    },
    stop: async () => preprocess.stop?.(),
  };
}

export async function cacheBench(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { count: { type: 'string', default: '160' }, rounds: { type: 'string', default: '7' }, redis: { type: 'string' } } });
  const [count, rounds] = [Number(values.count), Number(values.rounds)];
  if (!Number.isInteger(count) || count < together || !Number.isInteger(rounds) || rounds < 1) {
    throw new SaccadeError('invalid_config', `--count is at least ${together}, --rounds at least 1, not ${values.count} and ${values.rounds}.`);
  }
  const caches = new Map<string, Cache>([['memory', memoryCache({ maxBytes: 64 * 1024 * 1024, clock })]]);
  if (values.redis) {
    const say = (message: string): void => void process.stderr.write(`${message}\n`);
    const password = process.env.REDIS_PASSWORD;
    caches.set('redis', await redisCache({ url: values.redis, ...(password ? { password } : {}), clock, log: { info: say, warn: say } }));
  } else process.stderr.write('no --redis URL: measured in memory alone\n');

  const costs = await lookUps(caches);
  console.log('\nmilliseconds of one look-up');
  console.table(costs);

  const models = await loadModels(fileURLToPath(new URL('../models', import.meta.url)), [modelName]);
  const engine = createEngine({ ...inferConfig.parse({}), clock });
  for (const model of models) await engine.load(model);
  const metrics = { lookedUp() {}, written() {} };
  const ways = new Map<string, Way>([['off', await wayWith(null, engine, models)]]);
  for (const [name, one] of caches) ways.set(name, await wayWith(answerCache({ cache: one, ttlMs: 600_000, metrics }), engine, models));

  const measured = new Map<string, { ms: number[]; cpu: number[] }>();
  const note = (name: string, { ms, cpu }: { ms: number; cpu: number }): void => {
    const row = measured.get(name) ?? { ms: [], cpu: [] };
    measured.set(name, row);
    row.ms.push(ms);
    row.cpu.push(cpu);
  };
  const known = Array.from({ length: count }, (_, i) => distinct(picture, `known ${i}`));
  for (const way of ways.values()) await way.run(known);
  for (let round = 1; round <= rounds; round++) {
    const order = round % 2 ? [...ways] : [...ways].toReversed();
    for (const [name, way] of order) {
      note(`${name}: never repeats`, await way.run(known.map((_, i) => distinct(picture, `${process.pid} ${name} ${round} ${i}`))));
      if (name === 'off') continue;
      const hits = await way.run(known);
      if (hits.cached < count * 0.9) throw new SaccadeError('internal', `${name}: only ${hits.cached} of ${count} known pictures were found.`);
      note(`${name}: always repeats`, hits);
    }
    process.stderr.write(`round ${round} of ${rounds}\n`);
  }
  const table = Object.fromEntries(
    [...measured].map(([name, { ms, cpu }]) => [name, { ms: median(ms), ms_min: digits(Math.min(...ms)), ms_max: digits(Math.max(...ms)), cpu_ms: median(cpu), cpu_min: digits(Math.min(...cpu)), cpu_max: digits(Math.max(...cpu)) }]),
  );
  console.log(`\nmilliseconds a frame (${picture.length} bytes, ${modelName}, batches of ${together}): medians of ${rounds} rounds, least and most`);
  console.table(table);

  /** By round, so that a machine whose speed drifts divides out. */
  const ratio = (name: string, of: 'ms' | 'cpu'): number =>
    digits(quantile(measured.get(name)![of].map((value, i) => value / measured.get('off: never repeats')![of][i]!), 0.5));
  const names = [...measured.keys()].filter((name) => !name.startsWith('off'));
  const ratios = Object.fromEntries(names.map((name) => [name, { ms: ratio(name, 'ms'), cpu: ratio(name, 'cpu') }]));
  for (const one of ways.values()) await one.stop();
  await engine.close();
  for (const one of caches.values()) await one.close();
  console.log(JSON.stringify({ bench: 'cache', frames: count * rounds, look_up_ms: costs, frame: table, to_off: ratios }));
}
