/**
 * From a 640 x 480 JPEG to tensors, by sharp (the reference path), by the fast path on the calling thread, and by its pool of
 * threads: milliseconds of CPU and of the clock for a picture, and how long the event loop stood still. CPU is the figure to
 * trust on a machine that is not idle.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { decodeImage } from '../processors/preprocess/decode.ts';
import { fastCutter } from '../processors/preprocess/fast-jpeg/cut.ts';
import { fastJpegPool } from '../processors/preprocess/fast-jpeg/pool.ts';
import { measureQuality } from '../processors/preprocess/quality.ts';
import { cutTensor } from '../processors/preprocess/tensor.ts';
import { quantile } from './quantiles.ts';

const size = { width: 640, height: 480 };
/** Pictures under way at once, as the stage has them. */
const atOnce = 4;

interface Sample {
  readonly cpuMs: number;
  readonly ms: number;
  readonly stallMs: number;
}

async function sample(count: number, once: () => Promise<unknown> | unknown): Promise<Sample> {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const cpu = process.cpuUsage();
  const started = performance.now();
  for (let done = 0; done < count; done += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, once));
    // Lets the loop turn, so that a stall is seen.
    await new Promise((soon) => setImmediate(soon));
  }
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  loop.disable();
  return { cpuMs: (user + system) / 1000 / count, ms: ms / count, stallMs: loop.percentile(99) / 1e6 };
}

export async function decode(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { count: { type: 'string', default: '200' }, rounds: { type: 'string', default: '5' } } });
  const [count, rounds] = [Number(values.count), Number(values.rounds)];
  if (!(count >= atOnce && rounds >= 1)) throw new SaccadeError('invalid_config', `--count is a number from ${atOnce}, --rounds from 1, not ${values.count} and ${values.rounds}.`);
  sharp.concurrency(1);
  sharp.cache(false);
  const photo = readFileSync(new URL('../media/coffee.jpg', import.meta.url));
  const bytes = await sharp(photo).resize(size.width, size.height, { fit: 'fill' }).jpeg({ quality: 85 }).toBuffer();
  const models = await loadModels(fileURLToPath(new URL('../models', import.meta.url)), ['efficientnet-lite0', 'nanodet']);
  const both = models.map(({ card }) => card.input);
  const limits = preprocessConfig.parse({});
  const fast = fastCutter();
  const pool = fastJpegPool();
  await pool.start();
  const contestants: Record<string, () => Promise<unknown> | unknown> = {};
  for (const [name, inputs] of [['lite0', both.slice(0, 1)], ['lite0+nanodet', both]] as const) {
    contestants[`sharp ${name}`] = async () => {
      const bitmap = await decodeImage(bytes, both, limits);
      measureQuality(bitmap);
      return Promise.all(inputs.map((input) => cutTensor(bitmap, input)));
    };
    contestants[`fast, this thread ${name}`] = () => fast(bytes, size, inputs);
    contestants[`fast, pool ${name}`] = () => pool.cut(bytes, size, inputs);
  }
  const samples = new Map<string, Sample[]>(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, once] of Object.entries(contestants)) {
      const found = await sample(count, once);
      // The first round finds code that is not compiled yet.
      if (round > 0) samples.get(name)!.push(found);
    }
  }
  await pool.stop();
  const figures = Object.fromEntries([...samples].map(([name, all]) => [name, summary(all)]));
  console.table(figures);
  console.log(JSON.stringify({ bench: 'decode', pictures: count * rounds, ...figures }));
}

function summary(all: readonly Sample[]): Record<string, number> {
  const of = (pick: (each: Sample) => number, q: number): number => Math.round(quantile(all.map(pick), q) * 100) / 100;
  return { cpu_ms: of((s) => s.cpuMs, 0.5), cpu_least: of((s) => s.cpuMs, 0), cpu_most: of((s) => s.cpuMs, 1), ms: of((s) => s.ms, 0.5), stall_p99_ms: of((s) => s.stallMs, 0.5) };
}
