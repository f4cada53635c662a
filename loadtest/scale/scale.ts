/**
 * What a second infer worker brings, as a thread of the same process and as a process that joins: the engine alone first, then
 * the whole pipeline from Kafka to ClickHouse, each beside one worker in the same round. Where the whole gains less than the
 * engine, it says what the processors were busy with.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Round } from '../pipeline/contestants.ts';
import { produceFrames } from '../pipeline/frames.ts';
import { type BenchPlace, withPlace } from '../pipeline/place.ts';
import { type Layout, runStages } from '../pipeline/run-stages.ts';
import { quantile } from '../quantiles.ts';
import { engineRun } from './engine.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Way extends Layout {
  readonly workers: number;
}

const chain = (...infer: string[]): Layout => ({ processes: ['sink', ...infer, 'preprocess', 'ingest'], fuse: '' });
const ways: Readonly<Record<string, Way>> = {
  'one worker': { ...chain('infer'), workers: 1 },
  'two workers': { ...chain('infer'), workers: 2 },
  'two processes': { ...chain('infer', 'infer'), workers: 1 },
};
const alone = 'one worker';
const engine = (workers: number): string => `engine, ${workers === 1 ? 'one worker' : 'two workers'}`;

/** What a contestant did in a round, by name of the contestant. */
type Rounds = Map<string, Round[]>;

export async function scale(argv: readonly string[]): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: [...argv], options: { model: { ...text, default: 'nanodet' }, frames: { ...text, default: '200' }, repeats: { ...text, default: '2' } } });
  const [frames, repeats] = [Number(values.frames), Number(values.repeats)];
  if (!Number.isInteger(frames) || frames < 100 || !Number.isInteger(repeats) || repeats < 1) {
    throw new SaccadeError('invalid_config', `--frames is a whole number from 100, --repeats from 1, not ${values.frames} and ${values.repeats}.`);
  }
  const rounds: Rounds = new Map();
  const add = (name: string, at: number, round: Round): void => {
    rounds.set(name, [...(rounds.get(name) ?? []), round]);
    say(`round ${at} of ${repeats}: ${name} ${round.imagesPerSecond.toFixed(1)} images/s`);
  };
  await withPlace(values.model, [], say, async (place) => {
    for (let at = 1; at <= repeats; at++) {
      for (const workers of [1, 2]) add(engine(workers), at, await engineRun(values.model, workers, frames));
      for (const [name, way] of Object.entries(ways)) add(name, at, await whole(place, way, `${name.replace(' ', '-')}-${at}`, frames));
    }
  });
  report(rounds, { model: values.model, frames, repeats });
}

async function whole({ producer, pictures, store, env, folder, servers }: BenchPlace, way: Way, run: string, count: number): Promise<Round> {
  await produceFrames(producer, 'frames.in', pictures, count, run);
  const workers = { SACCADE_INFER_WORKERS: String(way.workers), SACCADE_INFER_THREADS: '1' };
  return runStages({ layout: way, store, env: { ...env, ...workers }, folder, run, count, servers });
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
const spreadOf = (values: readonly number[], digits: number) => ({ median: rounded(quantile(values, 0.5), digits), least: rounded(Math.min(...values), digits), most: rounded(Math.max(...values), digits) });
const together = ({ cpuMs }: Round): number => Object.values(cpuMs).reduce((sum, ms) => sum + ms, 0);

function report(rounds: Rounds, given: { model: string; frames: number; repeats: number }): void {
  const cores = availableParallelism();
  const rates = Object.fromEntries([...rounds].map(([name, all]) => [name, spreadOf(all.map(({ imagesPerSecond }) => imagesPerSecond), 1)]));
  console.log('\nimages a second');
  console.table(rates);
  const base = (name: string): string => (name.startsWith('engine') ? engine(1) : alone);
  const times = Object.fromEntries(
    [...rounds].filter(([name]) => name !== base(name)).map(([name, all]) => [name, spreadOf(all.map((round, i) => round.imagesPerSecond / rounds.get(base(name))![i]!.imagesPerSecond), 2)]),
  );
  console.log('\ntimes as many as with one worker, in the same round');
  console.table(times);
  const cpu = Object.fromEntries(
    [...rounds].map(([name, all]) => {
      const parts = Object.fromEntries(Object.keys(all[0]!.cpuMs).map((part) => [part, rounded(quantile(all.map(({ cpuMs }) => cpuMs[part]!), 0.5), 2)]));
      return [name, { ...parts, together: rounded(quantile(all.map(together), 0.5), 2) }];
    }),
  );
  console.log('\nCPU milliseconds for an image, by process');
  console.table(cpu);
  // Where all is near 1 no worker more can bring anything; where all is far above ours, somebody else was at work too.
  const inUse = (pick: (use: NonNullable<Round['inUse']>) => number) => Object.fromEntries([...rounds].map(([name, all]) => [name, spreadOf(all.map((round) => pick(round.inUse!)), 2)]));
  const [ours, busy] = [inUse((use) => use.ours), inUse((use) => use.all)];
  console.log(`\nshare of the ${cores} processors in use by these processes`);
  console.table(ours);
  console.log('\nby all of the machine');
  console.table(busy);
  console.log(JSON.stringify({ bench: 'scale', ...given, cores, times_one_worker: times, images_per_second: rates, cpu_ms_per_image: cpu, processors_in_use: ours, processors_in_use_by_all: busy }));
}
