/**
 * Pictures over HTTP: Saccade, whose answers are in the log before they are given, beside services that answer directly and keep
 * nothing (Mosec, FastAPI, LitServe, BentoML), and beside the bare work (the floor). In turn, repeated; then what else is asked.
 * More of a thousand sockets, with the edge's memory: bench stream --sockets 1000.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import { race } from '../pipeline/contestants.ts';
import { type BenchPlace, withPlace } from '../pipeline/place.ts';
import { users } from './load.ts';
import { startOurs } from './ours.ts';
import { distinctPictures } from './pictures.ts';
import { profilesOf } from './profiles.ts';
import { median, report } from './report.ts';
import { measure, type Run, type Watched } from './run.ts';
import { sameLabels } from './same-labels.ts';
import { peerNames, type Service, startPeers } from './services.ts';

const model = { name: 'efficientnet-lite0', version: '2' };
const models = fileURLToPath(new URL('../../models', import.meta.url));
const bareLoop = fileURLToPath(new URL('../pipeline/bare-loop.ts', import.meta.url));
const connections = 16;
/**
 * Until V8 has compiled what is used, which Python does not do: a server runs for longer than a bench. After 12 s its compiler
 * threads took 1.8 ms of CPU an image, after 40 s 0.7, after 70 s 0.4.
 */
const warmUpSeconds = { saccade: 40, others: 3 };
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const list = (text: string): string[] => text.split(',').filter((name) => name !== '');

interface Given {
  readonly seconds: number;
  readonly rounds: number;
  readonly peers: readonly string[];
  /** Absent: all. */
  readonly profiles: readonly string[] | undefined;
  readonly fuse: string | undefined;
  readonly apart: boolean;
}

export async function http(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '3' },
      peers: { type: 'string', default: peerNames.join(',') },
      profiles: { type: 'string' },
      fuse: { type: 'string' },
      'edge-apart': { type: 'boolean', default: false },
    },
  });
  const [seconds, rounds, peers] = [Number(values.seconds), Number(values.rounds), list(values.peers)];
  if (!(seconds >= 1) || !Number.isInteger(rounds) || rounds < 1) throw new SaccadeError('invalid_config', `--seconds is at least 1, --rounds a whole number from 1, not ${values.seconds} and ${values.rounds}.`);
  const unknown = peers.filter((name) => !peerNames.includes(name));
  if (unknown.length > 0) throw new SaccadeError('invalid_config', `--peers takes ${peerNames.join(', ')}, not ${unknown.join(', ')}.`);
  const given = { seconds, rounds, peers, profiles: values.profiles === undefined ? undefined : list(values.profiles), fuse: values.fuse, apart: values['edge-apart'] };
  await withPlace(`${model.name}@${model.version}`, [], say, (place) => compare(place, given));
}

async function compare(place: BenchPlace, given: Given): Promise<void> {
  const ours = await startOurs(place, given);
  let services: Service[] = [];
  try {
    services = await startPeers(given.peers, join(models, model.name, model.version), place.pictures[0]!, say);
    const contestants: { name: string; url: string; path: string; watched: Watched }[] = [
      { name: 'saccade', url: ours.url, path: '/v1/infer', watched: ours.watched },
      ...services.map(({ name, url, path, pid }) => ({ name, url, path, watched: { [name]: pid } })),
    ];
    for (const { name, url, path } of contestants) await users({ url, request: distinctPictures(place.pictures, path), seconds: name === 'saccade' ? warmUpSeconds.saccade : warmUpSeconds.others }, connections);
    const agreement = await sameLabels(contestants, place.pictures);

    const [contest, alone] = [new Map<string, Run[]>(), new Map<string, Run[]>()];
    const floor: number[] = [];
    const note = (runs: Map<string, Run[]>, name: string, run: Run): void => void runs.set(name, [...(runs.get(name) ?? []), run]);
    for (let at = 1; at <= given.rounds; at++) {
      floor.push((await bare(place, given.seconds)).imagesPerSecond);
      for (const { name, url, path, watched } of contestants) {
        const request = distinctPictures(place.pictures, path);
        const run = await measure(watched, () => users({ url, request, seconds: given.seconds }, connections));
        note(contest, name, run);
        note(alone, name, await measure(watched, () => users({ url, request, seconds: given.seconds / 4 }, 1)));
        say(`round ${at} of ${given.rounds}: ${name} ${run.perSecond.toFixed(1)} images/s, p95 ${run.p95.toFixed(1)} ms`);
      }
    }
    const full = median(contest.get('saccade')!.map(({ perSecond }) => perSecond));
    const profiles = new Map<string, Run>();
    for (const { name, items, run } of profilesOf(ours.url, place.pictures, given.seconds, () => full / 2, place.folder)) {
      if (given.profiles !== undefined && !given.profiles.some((wanted) => name.includes(wanted))) continue;
      const found = await measure(ours.watched, run, items);
      profiles.set(name, found);
      say(`${name}: ${found.perSecond.toFixed(1)}/s, p95 ${found.p95.toFixed(1)} ms`);
    }
    report({ contest, alone, floor, profiles, agreement, given: { seconds: given.seconds, rounds: given.rounds, connections } });
  } finally {
    await Promise.all([ours.stop(), ...services.map((each) => each.stop())]);
  }
}

/** The bare loop on every processor: the decoder and the model, and nothing around them. */
function bare({ folder }: BenchPlace, seconds: number) {
  const workers = availableParallelism();
  // Some 4 ms each: about as long as the others.
  const count = String(Math.ceil(seconds * 100));
  return race('loop', Array.from({ length: workers }, (): [string, ...string[]] => [process.execPath, '--import', 'tsx', bareLoop, models, `${model.name}@${model.version}`, join(folder, 'pictures'), count]));
}
