/** A picture counts by whichever door it comes: in a document, over a socket, as a frame of a video, among others in a tensor. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { Registry } from 'prom-client';
import sharp from 'sharp';
import { WebSocket } from 'ws';
import { memoryRates } from '../connectors/rates/memory.ts';
import { leases } from '../processors/access/leases.ts';
import { freely, type Verdict } from '../processors/edge/ledger.ts';
import type { Principal } from '../processors/edge/principal.ts';
import { createBudget } from '../processors/edge/stream/budget.ts';
import { streamConfig } from '../processors/edge/stream/config.ts';
import { streamMetrics } from '../processors/edge/stream/metrics.ts';
import { edgeConfig } from '../processors/edge/config.ts';
import { openPaces } from '../processors/edge/paces.ts';
import { errorOutcome } from '../processors/edge/stream/prepare-frame.ts';
import { createSession } from '../processors/edge/stream/session.ts';
import type { AuditEntry } from '../schemas/audit.ts';
import { plans } from '../schemas/plans.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { picture } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { streamClient } from './support/stream-client.ts';

const requestsOf = (name: 'predict' | 'batch' | 'read'): number => plans.demo![name]![0]!.requests;
const [predict, batch, read] = [requestsOf('predict'), requestsOf('batch'), requestsOf('read')];
/** Nothing that could be a picture: it is counted, and refused before it costs anything. */
const noPicture = Buffer.from('no picture');
const inferNoPicture = `infer(image: "${noPicture.toString('base64')}") { id }`;

interface Answer {
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[];
}

describe('a key of the demo plan', { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let edge: ClosedEdge;
  before(async () => {
    database = await anyDatabase();
    edge = await startClosedEdge(database);
  });
  after(async () => {
    await edge.close();
    await database.stop();
  });

  const demoKey = (): Promise<string> => edge.key('one', 'operator', { plan: 'demo' });
  const post = (key: string, path: string, body: string | Buffer, type = 'application/json') =>
    fetch(`${edge.url}${path}`, { method: 'POST', headers: { ...bearer(key), 'content-type': type }, body: new Uint8Array(Buffer.from(body)) });
  const statusOfInfer = async (key: string): Promise<number> => (await post(key, '/v1/infer', noPicture, 'image/jpeg')).status;
  const codes = ({ errors = [] }: Answer): string[] => errors.map(({ extensions }) => extensions.code);

  async function subscriber(key: string) {
    const socket = new WebSocket(`${edge.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers: bearer(key) });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    await once(socket, 'message');
    let id = 0;
    return {
      socket,
      async ask(query: string): Promise<Answer> {
        const own = `${++id}`;
        socket.send(JSON.stringify({ type: 'subscribe', id: own, payload: { query } }));
        for (;;) {
          const [data] = (await once(socket, 'message')) as [Buffer];
          const message = JSON.parse(data.toString()) as { type: string; id?: string; payload?: unknown };
          if (message.id !== own || message.type === 'complete') continue;
          return message.type === 'error' ? { errors: message.payload as Answer['errors'] & object } : (message.payload as Answer);
        }
      },
    };
  }

  test('a document counts for each picture in it, together with those of /v1/infer', async () => {
    const key = await demoKey();
    const query = `mutation ($image: String!) { ${Array.from({ length: 10 }, (_, n) => `a${n}: infer(image: $image, model: "efficientnet-lite0") { id }`).join(' ')} }`;
    const image = (await sharp(picture('coffee')).resize(64).jpeg().toBuffer()).toString('base64');
    const answers: Answer[] = [];
    for (let asked = 0; asked <= predict; asked += 10) answers.push((await (await post(key, '/graphql', JSON.stringify({ query, variables: { image } }))).json()) as Answer);
    assert.deepEqual(answers.map(codes), [...Array.from({ length: predict / 10 }, () => []), ['rate_limited']]);
    assert.equal(await statusOfInfer(key), 429);
  });

  test('over its socket each operation counts as a request and each picture as a picture, and all are on record', async () => {
    const key = await demoKey();
    const { socket, ask } = await subscriber(key);
    for (let n = 0; n < predict; n++) assert.deepEqual(codes(await ask(`mutation { ${inferNoPicture} }`)), ['unsupported_media_type']);
    assert.deepEqual(codes(await ask(`mutation { ${inferNoPicture} }`)), ['rate_limited']);
    assert.equal(await statusOfInfer(key), 429);
    // One for the socket itself.
    for (let n = 1 + predict + 1; n < read; n++) assert.deepEqual(codes(await ask('{ models { name } }')), []);
    const { errors } = await ask('{ models { name } }');
    assert.equal(errors![0]!.extensions.code, 'rate_limited');
    assert.match(errors![0]!.message, /read is 600 in 60 s; try again in \d+ s/);
    assert.equal((await fetch(`${edge.url}/v1/models`, { headers: bearer(key) })).status, 429);
    socket.terminate();

    let entries: AuditEntry[] = [];
    await eventually(async () => {
      entries = (await edge.metadata.audit.read(1, 10_000)).map(({ entry }) => JSON.parse(entry) as AuditEntry).filter(({ action }) => action === 'WS /graphql');
      return entries.length === read;
    }, 'the record');
    const kinds = new Map(entries.map(({ target, status, tenant, role }) => [`${target} ${status} ${tenant} ${role}`, 1]));
    assert.deepEqual([...kinds.keys()].sort(), [' 429 one operator', 'mutation infer 415 one operator', 'mutation infer 429 one operator', 'query models 200 one operator']);
  });

  test('frames of a video count, however many sockets they come by: live ones above the limit are dropped', async () => {
    const key = await demoKey();
    const clients = [await streamClient(edge.url, { source: 'gate' }, bearer(key)), await streamClient(edge.url, { source: 'yard' }, bearer(key))];
    for (let n = 0; n <= predict; n++) {
      const client = clients[n % 2]!;
      const had = client.outcomes().length;
      await client.paced(Math.floor(n / 2), noPicture);
      await eventually(() => client.outcomes().length > had, `the outcome of frame ${n}`);
    }
    const outcomes = clients.flatMap((client) => client.outcomes());
    assert.deepEqual(outcomes.map(({ type, code }) => code ?? type).sort(), ['dropped', ...Array<string>(predict).fill('unsupported_media_type')]);
    assert.equal(outcomes.find(({ type }) => type === 'dropped')!.reason, 'quota');
    assert.equal(await statusOfInfer(key), 429);
    for (const client of clients) await client.close();
  });

  test('a tensor of several pictures is a batch', async () => {
    const key = await demoKey();
    const infer = (pictures: number) =>
      post(key, '/v2/models/nanodet/infer', JSON.stringify({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [pictures], data: Array(pictures).fill(noPicture.toString('base64')) }] }));
    for (let n = 0; n < batch; n++) assert.equal((await infer(2)).status, 415);
    const refused = await infer(2);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.match(refused.headers.get('ratelimit-policy')!, /batch-60s/);
    assert.equal((await infer(1)).status, 415, 'one alone is none');
  });
});

test('a client that waits for every frame waits for its limit too', () => {
  let verdict: Verdict = 'no';
  const limits = streamConfig.parse({ window: 3 });
  const metrics = streamMetrics(new Registry(), { sockets: () => 0, sessions: () => 0, bytes: () => 0, frames: () => 0 });
  const clock = { now: () => 0, sleep: async () => {} };
  const told: { type: string; credits?: number }[] = [];
  const session = createSession({ served: () => true,
    about: { tenant: 't', session: 's', source: 'gate', model: 'm', policy: 'wait', acknowledged: -1 },
    limits, budget: createBudget(1e9), keptBudget: createBudget(1e9), clock, metrics, door: openPaces(clock, edgeConfig.parse({})).of('m').wait,
    allowed: (_now, tap) => tap.take(0), wake() {}, errorOf: errorOutcome,
  });
  session.attach({ send: (json) => void told.push(JSON.parse(json) as never), close() {}, slow: false, tap: { ...freely, take: () => verdict }, pause() {}, resume() {} }, 'new', -1);
  for (let sequence = 0; sequence < 3; sequence++) session.receive({ sequence, capturedAt: null, image: noPicture });
  assert.equal(session.take(0), 'later');
  assert.deepEqual(told.map(({ type }) => type), ['welcome'], 'nothing is dropped, and no credit is given');
  verdict = 'yes';
  assert.deepEqual([0, 1, 2].map(() => (session.take(0) as { sequence: number }).sequence), [0, 1, 2]);
});

describe('leases', () => {
  const principal: Principal = { id: 'key:a', tenant: 'one', role: 'operator', kind: 'key' };
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test('all edges together let in what the window holds, to the last one, and ask far less often', async () => {
    let asked = 0;
    const counter = memoryRates();
    const counting = { ...counter, take: (...args: Parameters<typeof counter.take>) => (asked++, counter.take(...args)) };
    const windows = [{ requests: 1_000, seconds: 60 }, { requests: 700, seconds: 3_600 }];
    const taps = [0, 1, 2].map(() => leases(counting, () => windows)(principal, 'predict'));
    let taken = 0;
    const done = new Set<number>();
    for (let n = 0; done.size < 3; n++) {
      const verdict = taps[n % 3]!.take(n);
      if (verdict === 'yes') taken += 1;
      else if (verdict === 'no') done.add(n % 3);
      else await settled();
      assert.ok(n < 10_000);
    }
    assert.equal(taken, 700);
    assert.ok(asked < 120, `${asked} questions`);
  });

  test('what was taken from a window does not outlive it; what was given back is used again', async () => {
    const counter = memoryRates();
    const tap = leases(counter, () => [{ requests: 100, seconds: 10 }])(principal, 'predict');
    assert.equal(tap.take(0), 'later');
    await settled();
    assert.equal(tap.take(1), 'yes');
    tap.giveBack();
    assert.equal(tap.take(2), 'yes');
    tap.giveBack();
    assert.equal(tap.take(10_001), 'later', 'the window is over');
  });

  test('what is given back while more is asked for is not lost, and a counter that fails is asked again', async () => {
    const counter = memoryRates();
    let answer = async (): Promise<void> => {};
    const tap = leases({ ...counter, take: (...args: Parameters<typeof counter.take>) => answer().then(() => counter.take(...args)) }, () => [{ requests: 10, seconds: 10 }])(principal, 'predict');
    answer = () => Promise.reject(new Error('away'));
    assert.equal(tap.take(0), 'later');
    await settled();
    answer = async () => {};
    assert.equal(tap.take(0), 'later');
    await settled();
    assert.equal(tap.take(1), 'yes');
    let release = (): void => {};
    answer = () => new Promise((resolve) => (release = resolve));
    assert.equal(tap.take(2), 'later');
    tap.giveBack();
    release();
    await settled();
    assert.deepEqual([tap.take(3), tap.take(4)], ['yes', 'yes']);
  });

  test('who is not limited is not asked about', () => {
    const tap = leases({ ...memoryRates(), take: () => assert.fail() }, () => [])(principal, 'predict');
    assert.equal(tap.take(0), 'yes');
  });
});
