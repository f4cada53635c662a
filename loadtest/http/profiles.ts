/** What else is asked of Saccade beside the contest: many users, bursts, requests with many pictures, pictures seen before, reads. */
import { openConnection, getOf } from './connection.ts';
import { arrivals, bursts, type Load, type Measured, users } from './load.ts';
import { batches, distinctPictures, samePictures } from './pictures.ts';

export interface Profile {
  readonly name: string;
  /** Pictures of a request. */
  readonly items?: number;
  /** Refusals are what it is about: a 503 in time is no error. */
  readonly refuses?: true;
  run(): Promise<Measured>;
}

const thinkMs = 1_000;
const picturesOfABatch = 32;
const infer = '/v1/infer';

/** `half`: requests a second that are half of what the service can do. */
export function profilesOf(url: string, pictures: readonly Buffer[], seconds: number, half: () => number): Profile[] {
  const distinct = distinctPictures(pictures, infer);
  const load = (request: Load['request'], good?: Load['good']): Load => ({ url, request, seconds, ...(good ? { good } : {}) });
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
    // Its beginning looks like a burst that passes, and is let in as one: what stays is told apart only after a while.
    ...['overload, its first seconds', 'overload'].map((name): Profile => ({ name, refuses: true, run: () => users(load(distinct), 600, 100) })),
  ];
}

async function once(url: string, requests: readonly (readonly Buffer[])[]): Promise<void> {
  const connection = openConnection(url);
  for (const request of requests) await connection.ask(request);
  connection.close();
}
