/** Refusals at the door, over real sockets; the clock is the test's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, test } from 'node:test';
import { knownAskers } from '../processors/edge/known-askers.ts';
import { shedding } from '../processors/edge/shedding.ts';
import { picture, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';

/** A server behind the door that answers 200 to all that gets in. */
async function serve(options: Parameters<typeof shedding>[1] = {}) {
  const state = { now: 0, means: null as string | null, full: new Set<string | null>(), welcome: '', refused: 0, entered: [] as string[] };
  const sleeps: { readonly ms: number; readonly signal: AbortSignal | undefined; readonly wake: () => void }[] = [];
  const shed = shedding({ 'x-of-all': 'yes' }, options);
  const take: RequestListener = (request, response) =>
    shed.pass(request, response, () => {
      state.entered.push(`${request.method} ${request.url}`);
      // As the hooks and the routes do, whatever the request was.
      const { authorization, 'x-api-key': key } = request.headers;
      shed.found(request, { tenant: 't', id: `${authorization ?? key}` });
      if (state.means) shed.meant(request, state.means);
      response.end('in');
    });
  const server = createServer(take).on('checkContinue', take);
  shed.by({
    clock: { now: () => state.now, sleep: (ms, signal) => new Promise((wake) => (sleeps.push({ ms, signal, wake }), signal?.addEventListener('abort', () => wake()))) },
    turnsAway: (model, who) => state.full.has(model) && who?.id !== state.welcome,
    refused: () => state.refused++,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => (server.closeAllConnections(), server.close()));
  return { state, sleeps, port: (server.address() as AddressInfo).port };
}

/** One connection, byte by byte. */
function dial(port: number) {
  const socket = connect(port, '127.0.0.1');
  let got = '';
  socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
  return {
    socket,
    send: (text: string) => socket.write(text),
    /** The status lines so far, once there are so many. */
    async statuses(count: number): Promise<string[]> {
      const found = (): string[] => [...got.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]!);
      await eventually(async () => found().length >= count, `${count} answers, of ${found().length}`);
      return found();
    },
    text: () => got,
  };
}

const post = (path: string, more = ''): string => `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n${more}\r\n`;

test('pictures of a model that is behind are refused unread, all else gets in', async () => {
  const { state, port } = await serve();
  state.full.add(null).add('slow');
  const asking = dial(port);
  asking.send(post('/v1/infer', 'expect: 100-continue\r\n'));
  await once(asking.socket, 'end');
  assert.deepEqual(await asking.statuses(1), ['503'], 'nobody asked for the body');

  const client = dial(port);
  client.send(post('/v1/infer'));
  assert.deepEqual(await client.statuses(1), ['503'], 'before it has come');
  assert.match(client.text(), /retry-after: 1\r\n/i);
  assert.match(client.text(), /x-of-all: yes/i);
  assert.match(client.text(), /"code":"overloaded"/);
  client.send('12345GET /health HTTP/1.1\r\nhost: a\r\n\r\n');
  assert.deepEqual(await client.statuses(2), ['503', '200'], 'a body that comes all the same is passed over');

  const others = dial(port);
  const welcome = [post('/v1/infer?model=fast'), post('/v1/infer?wait=0&model=slow'), post('/v1/batch_infer?model=fast'), post('/graphql'), post('/v1/infer', 'origin: https://app.example\r\n'), post('/v1/inferior')];
  for (const head of welcome) others.send(`${head}12345`);
  others.send('GET /v1/infer HTTP/1.1\r\nhost: a\r\n\r\n');
  assert.deepEqual(await others.statuses(7), Array(7).fill('200'));
  for (const path of ['/v1/infer?model=slow', '/v1/infer?model=', '/v1/infer?model=slow&wait=1', '/v1/batch_infer']) {
    const each = dial(port);
    each.send(post(path));
    assert.deepEqual(await each.statuses(1), ['503'], path);
  }
  assert.equal(state.refused, 6);
});

test('who does not heed Retry-After is refused when it is over, who does at once', async () => {
  const { state, sleeps, port } = await serve();
  state.full.add(null);
  const client = dial(port);
  client.send(`${post('/v1/infer')}12345`);
  await client.statuses(1);
  state.now = 400;
  client.send(`${post('/v1/infer')}12345`);
  await eventually(async () => sleeps.length === 1, 'it is held');
  assert.equal(sleeps[0]!.ms, 600);

  const another = dial(port);
  another.send(`${post('/v1/infer')}12345`);
  assert.deepEqual(await another.statuses(1), ['503'], 'somebody else is told at once');

  state.now = 1_000;
  sleeps[0]!.wake();
  assert.deepEqual(await client.statuses(2), ['503', '503']);
  state.now = 2_000;
  client.send(`${post('/v1/infer')}12345`);
  assert.deepEqual(await client.statuses(3), ['503', '503', '503']);
  state.full.clear();
  client.send(`${post('/v1/infer')}12345`);
  assert.deepEqual(await client.statuses(4), ['503', '503', '503', '200'], 'where there is room it does not matter who was refused');
  assert.equal(state.refused, 4);
});

test('what a key means that names no model is known from its request before, for a while', async () => {
  const { state, port } = await serve();
  state.full.add('slow');
  state.means = 'slow';
  const [one, another] = ['authorization: Bearer one\r\n', 'x-api-key: another\r\n'];
  const proxy = dial(port);
  const ask = async (head: string, before: readonly string[], status: string): Promise<string[]> => {
    state.now += 1_000;
    proxy.send(`${head}12345`);
    const all = await proxy.statuses(before.length + 1);
    assert.deepEqual(all, [...before, status], head);
    return all;
  };
  let so = await ask(post('/v1/infer', one), [], '200');
  so = await ask(post('/v1/infer?model=', one), so, '503');
  so = await ask(post('/v1/batch_infer?wait=1', one), so, '503');
  so = await ask(post('/v1/infer?model=fast', one), so, '200');
  so = await ask(post('/v1/infer?wait=0', one), so, '200');
  so = await ask(post('/v1/infer', another), so, '200');
  so = await ask(post('/v1/infer'), so, '200');
  state.full.delete('slow');
  so = await ask(post('/v1/infer', one), so, '200');
  const elsewhere = dial(port);
  state.full.add('slow');
  elsewhere.send(`${post('/v1/infer', one)}12345`);
  assert.deepEqual(await elsewhere.statuses(1), ['503'], 'by whichever connection');
  state.now += 10_000;
  elsewhere.send(`${post('/v1/infer', one)}12345`);
  assert.deepEqual(await elsewhere.statuses(2), ['503', '200'], 'it may have come to mean another');
});

test('whose credential is not known is let on to where that is found out, and is then refused or not as who it is', async () => {
  const { state, port } = await serve();
  state.full.add('slow').add(null);
  const client = dial(port);
  const [some, welcome] = ['authorization: some\r\n', 'authorization: welcome\r\n'];
  const statuses = [];
  for (const head of [post('/v1/infer?model=slow', some), post('/v1/infer?model=slow', some), post('/v1/infer?model=slow', welcome), post('/v1/infer?model=slow')]) {
    state.now += 1_000;
    client.send(`${head}12345`);
    statuses.push((await client.statuses(statuses.length + 1)).at(-1));
  }
  assert.deepEqual(statuses, ['200', '503', '200', '503']);
  state.welcome = 'welcome';
  client.send(`${post('/v1/infer?model=slow', welcome)}12345`);
  assert.equal((await client.statuses(5)).at(-1), '200');
});

test('no clock that is set back holds anybody longer than it was told', async () => {
  const { state, sleeps, port } = await serve();
  state.full.add(null);
  state.now = 3_600_000;
  const client = dial(port);
  client.send(`${post('/v1/infer')}12345`);
  await client.statuses(1);
  state.now = 0;
  client.send(`${post('/v1/infer')}12345`);
  await eventually(async () => sleeps.length === 1, 'it is held');
  assert.equal(sleeps[0]!.ms, 1_000);
});

test('by the connections of a proxy come others too: nobody is held', async () => {
  const [open, behind] = [await serve(), await serve({ proxied: true })];
  for (const [{ state, port }, header] of [[open, 'x-forwarded-for: 192.0.2.1\r\n'], [open, 'forwarded: for=192.0.2.1\r\n'], [open, 'via: 1.1 proxy\r\n'], [behind, '']] as const) {
    state.full.add(null);
    const proxy = dial(port);
    proxy.send(`${post('/v1/infer', header)}12345${post('/v1/infer', header)}12345`);
    assert.deepEqual(await proxy.statuses(2), ['503', '503'], header);
  }
  assert.deepEqual([open.sleeps.length, behind.sleeps.length], [0, 0]);
});

test('who leaves while it is held is not refused any more', async () => {
  const { state, sleeps, port } = await serve();
  state.full.add(null);
  const client = dial(port);
  client.send(`${post('/v1/infer')}12345`);
  await client.statuses(1);
  client.send(`${post('/v1/infer')}12345`);
  await eventually(async () => sleeps.length === 1, 'it is held');
  client.socket.destroy();
  await eventually(async () => sleeps[0]!.signal!.aborted, 'the server has seen it');
  assert.equal(state.refused, 1);
});

test('at the door of the edge a refusal says what the routes would say', async () => {
  const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 3_000, pace: { paceFirst: 1, paceLeast: 1 }, origins: ['https://app.example'] });
  const ask = (headers: Record<string, string> = {}) => fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), headers));
  const one = ask();
  await eventually(async () => edge.edge.waiting === 1, 'it is in the pipeline');
  const told = async (response: Response) => {
    const ofCors = /^(date|vary|connection|keep-alive|access-control-.*)$/;
    return { status: response.status, headers: Object.fromEntries([...response.headers].filter(([name]) => !ofCors.test(name))), body: await response.json() };
  };
  // A page's request is refused by the routes, which know what a page may read.
  const byRoute = await ask({ origin: 'https://app.example' });
  assert.equal(byRoute.headers.get('access-control-allow-origin'), 'https://app.example');
  const [door, route] = [await told(await ask()), await told(byRoute)];
  assert.equal(door.status, 503);
  assert.deepEqual(door, route);
  assert.match(await (await fetch(`${edge.url}/metrics`)).text(), /saccade_edge_refused_total\{code="overloaded"\} 2/);
  assert.equal((await fetch(`${edge.url}/v1/models`)).status, 200);
  assert.equal((await one).status, 504);
  await edge.close();
});

test('a credential is the same however it is written, and two of them are neither', () => {
  const known = knownAskers({ now: () => 0 });
  const showing = (headers: Readonly<Record<string, string>>) => ({ headers }) as unknown as IncomingMessage;
  known.found(showing({ authorization: 'Bearer one' }), { tenant: 't', id: 'key:1' });
  for (const same of [{ authorization: 'bearer   one ' }, { authorization: 'BEARER one' }, { 'x-api-key': ' one' }]) assert.equal(known.of(showing(same))?.asker.id, 'key:1', JSON.stringify(same));
  for (const other of [{ authorization: 'Bearer One' }, { authorization: 'Bearer one', 'x-api-key': 'one' }, { 'x-api-key': 'on e' }]) assert.equal(known.of(showing(other)), undefined, JSON.stringify(other));
  for (const nothing of [{}, { 'x-api-key': '' }]) assert.equal(known.of(showing(nothing)), null);
});
