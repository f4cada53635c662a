/** What else is asked of Saccade beside the contest: many users, bursts, requests with many pictures, pictures seen before, reads. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runClients } from '../stream/run-clients.ts';
import { openConnection, getOf } from './connection.ts';
import { arrivals, bursts, type Load, type Measured, users } from './load.ts';
import { batches, distinctPictures, samePictures } from './pictures.ts';

export interface Profile {
  readonly name: string;
  /** Pictures of a request. */
  readonly items?: number;
  run(): Promise<Measured>;
}

const thinkMs = 1_000;
const picturesOfABatch = 32;
const infer = '/v1/infer';
const model = 'efficientnet-lite0';
const everySeconds = 5;

/** `half`: requests a second that are half of what the service can do. */
export function profilesOf(url: string, pictures: readonly Buffer[], seconds: number, half: () => number, folder: string): Profile[] {
  const distinct = distinctPictures(pictures, infer);
  const load = (request: Load['request'], good?: Load['good']): Load => ({ url, request, seconds, ...(good ? { good } : {}) });
  const socketSeconds = Math.max(seconds, 3 * everySeconds);
  const manyUsers = (count: number): Profile => ({ name: `${count} users`, run: () => users(load(distinct), count, thinkMs) });
  return [
    { name: 'half load', run: () => arrivals(load(distinct), half()) },
    ...[50, 100, 200, 300].map(manyUsers),
    { name: 'burst of 100', run: () => bursts(load(distinct), 100, 2_000) },
    { name: 'batches of 32', items: picturesOfABatch, run: () => users(load(batches(pictures, '/v1/batch_infer', picturesOfABatch)), 2) },
    {
      name: 'cached',
      async run() {
        const same = samePictures(pictures, infer);
        await once(url, pictures.map(same));
        return users(load(same, ({ body }) => body.includes('"cached":true')), 32);
      },
    },
    {
      name: 'reads',
      run() {
        const paths = ['/v1/predictions?limit=50', '/v1/stats', '/v1/models', '/v1/predictions?source=http&limit=10'].map(getOf);
        let asked = 0;
        return arrivals(load(() => paths[asked++ % paths.length]!), 10);
      },
    },
    { name: '1,000 sockets', run: () => sockets(url, join(folder, 'pictures'), socketSeconds) },
    // A thousand sockets take their time to open; the users are there before them and after.
    ...bothAtOnce(() => users({ ...load(distinct), seconds: 2 * socketSeconds + 5 }, 300, thinkMs), () => sockets(url, join(folder, 'pictures'), socketSeconds)),
    // Its beginning looks like a burst that passes, and is let in as one: what stays is told apart only after a while.
    ...['overload, its first seconds', 'overload'].map((name): Profile => ({ name, run: () => users(load(distinct), 600, 100) })),
  ];
}

/** One run and a line for either side of it; what it costs is all in the first. */
function bothAtOnce(people: () => Promise<Measured>, streams: () => Promise<Measured>): Profile[] {
  let beside: Measured | null = null;
  return [
    {
      name: '300 users beside 1,000 sockets',
      async run() {
        const [asked, filmed] = await Promise.all([people(), streams()]);
        beside = filmed;
        return asked;
      },
    },
    { name: 'those 1,000 sockets', run: async () => beside ?? { ms: [], errors: {}, seconds: 1 } },
  ];
}

/** Live streams, each with a frame every few seconds; what became of a frame that was not answered is counted. */
async function sockets(url: string, folder: string, seconds: number): Promise<Measured> {
  const picture = readdirSync(folder).find((file) => file.endsWith('.jpg'));
  const seen = await runClients({ url, by: 'stream', sources: 1_000, framesPerSecond: 1 / everySeconds, seconds, model, policy: 'drop_oldest', picture: join(folder, picture!), name: 'socket' });
  const { dropped, skipped, closed, errors } = seen;
  return { ms: seen.ms, seconds, errors: Object.fromEntries(Object.entries({ dropped, skipped, closed, errors }).filter(([, n]) => n > 0)) };
}

async function once(url: string, requests: readonly (readonly Buffer[])[]): Promise<void> {
  const connection = openConnection(url);
  for (const request of requests) await connection.ask(request);
  connection.close();
}
