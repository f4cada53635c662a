/**
 * How fast frames that lie in Kafka become rows in ClickHouse, beside what the same machine can do at all: the same decoder
 * and model in a bare loop (the floor), a Python worker over the same topic, and a bare Python loop. In turn, repeated.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Log } from '../../connectors/ports.ts';
import { tensorTopic } from '../../schemas/topics.ts';
import { type Round, race } from './contestants.ts';
import { produceFrames } from './frames.ts';
import { type BenchPlace, withPlace } from './place.ts';
import { peers, python } from './python.ts';
import { report } from './report.ts';
import { layouts, runStages } from './run-stages.ts';
import { topicBytes } from './usage.ts';

const model = { name: 'efficientnet-lite0', version: '2' };
const models = fileURLToPath(new URL('../../models', import.meta.url));
const modelFolder = join(models, model.name, model.version);
const bareLoop = fileURLToPath(new URL('./bare-loop.ts', import.meta.url));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
/** The topic the Python worker answers on. */
const results = 'bench.results';
const pythonProcesses = 2;
const everything = ['floor', 'python loop', 'chained', 'fused', 'python worker'] as const;
type Contestant = (typeof everything)[number];

export async function pipeline(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { frames: { type: 'string', default: '4000' }, repeats: { type: 'string', default: '3' }, only: { type: 'string', default: everything.join(',') } },
  });
  const [frames, repeats, only] = [Number(values.frames), Number(values.repeats), values.only.split(',')];
  if (!Number.isInteger(frames) || frames < 100 || !Number.isInteger(repeats) || repeats < 1) {
    throw new SaccadeError('invalid_config', `--frames is a whole number from 100, --repeats from 1, not ${values.frames} and ${values.repeats}.`);
  }
  const unknown = only.filter((name) => !everything.includes(name as Contestant));
  if (unknown.length > 0) throw new SaccadeError('invalid_config', `--only takes ${everything.join(', ')}, not ${unknown.join(', ')}.`);
  await withPlace(`${model.name}@${model.version}`, [results], say, (place) => measure(place, { frames, repeats, only }));
}

async function measure({ folder, stack, log, producer, store, pictures, env, servers }: BenchPlace, { frames, repeats, only }: { frames: number; repeats: number; only: readonly string[] }): Promise<void> {
  const interpreter = only.some((name) => name.startsWith('python')) ? await python(say) : null;
  const workers = availableParallelism();
  let bytes: Record<string, number> = {};

  /** Where the last frames lie that were put into frames.in: first and next offset, by partition. */
  let latest: readonly (readonly [number, number])[] | null = null;

  async function offer(run: string): Promise<readonly (readonly [number, number])[]> {
    const starts = await ends(log, 'frames.in');
    await produceFrames(producer, 'frames.in', pictures, frames, run);
    return (latest = (await ends(log, 'frames.in')).map((end, partition) => [starts[partition]!, end] as const));
  }

  const stages = async (layout: 'chained' | 'fused', run: string): Promise<Round> => {
    const before = topicBytes(folder);
    await offer(run);
    const round = await runStages({ layout: layouts[layout], store, env, folder, run, count: frames, servers });
    if (layout === 'chained') bytes = hopBytes(before, topicBytes(folder), frames);
    return round;
  };
  const contestants: Record<Contestant, (run: string) => Promise<Round | null>> = {
    'floor': () => race('loop', Array.from({ length: workers }, () => [process.execPath, '--import', 'tsx', bareLoop, models, `${model.name}@${model.version}`, join(folder, 'pictures'), String(Math.ceil(frames / workers))])),
    'python loop': async () =>
      interpreter === null
        ? null
        : race('loop', Array.from({ length: workers }, () => [interpreter, join(peers, 'loop.py'), modelFolder, join(folder, 'pictures'), String(Math.ceil(frames / workers))])),
    'chained': (run) => stages('chained', run),
    'fused': (run) => stages('fused', run),
    async 'python worker'(run) {
      if (interpreter === null) return null;
      // The frames that the pipeline has just had, else it would find these in its way the next time.
      const spans = (latest ?? (await offer(run))).map(([begin, end], partition) => `${partition}:${begin}:${end}`);
      const commands = Array.from({ length: pythonProcesses }, (_, i): [string, ...string[]] => [
        interpreter, join(peers, 'worker.py'), modelFolder, stack.kafka.brokers.join(','), 'frames.in', results, ...spans.filter((_span, partition) => partition % pythonProcesses === i),
      ]);
      return race('worker', commands);
    },
  };

  const rounds = new Map<string, Round[]>();
  for (let at = 1; at <= repeats; at++) {
    for (const name of everything.filter((each) => only.includes(each))) {
      const round = await contestants[name](`${name.replace(' ', '-')}-${at}`);
      if (!round) continue;
      rounds.set(name, [...(rounds.get(name) ?? []), round]);
      say(`round ${at} of ${repeats}: ${name} ${round.imagesPerSecond.toFixed(1)} images/s`);
    }
  }
  report(rounds, { frames, repeats }, bytes);
}

async function ends(log: Log, topic: string): Promise<number[]> {
  const found = await log.endOffsets(topic);
  return [...found].sort((a, b) => a.partition - b.partition).map(({ offset }) => offset);
}

function hopBytes(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>, frames: number): Record<string, number> {
  const hops = ['frames.in', 'frames', tensorTopic(model.name), 'predictions'];
  return Object.fromEntries(hops.map((topic) => [topic, Math.round(((after[topic] ?? 0) - (before[topic] ?? 0)) / frames)]));
}
