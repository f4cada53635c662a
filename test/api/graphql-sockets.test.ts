/** The WebSockets of /graphql as what they are beside their operations: places that somebody takes, and memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import type { Principal } from '../../processors/edge/principal.ts';
import { type EdgeUnderTest, picture, startEdgeUnderTest } from '../support/edge.ts';
import { eventually } from '../support/pipeline.ts';
import { refusedUpgrade } from '../support/stream-client.ts';

type Limits = NonNullable<Parameters<typeof startEdgeUnderTest>[0]>['graphql'] & {};

/** Whoever says their name is believed. */
const edgeOf = (graphql: Limits): Promise<EdgeUnderTest> =>
  startEdgeUnderTest({
    stages: [],
    requestTimeoutMs: 1_500,
    graphql,
    access: async () => ({ authenticate: async ({ headers }): Promise<Principal> => ({ id: `key:${String(headers['x-api-key'])}`, tenant: 'default', role: 'operator', kind: 'key' }), guard() {}, routes() {} }),
  });

async function open(url: string, { key = 'one', init = true, autoPong = true } = {}) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers: { 'x-api-key': key }, autoPong });
  const told: string[] = [];
  let pings = 0;
  socket.on('ping', () => (pings += 1));
  socket.on('message', (data: Buffer) => {
    const { type, id, payload } = JSON.parse(data.toString()) as { type: string; id?: string; payload?: { extensions?: { code: string } }[] };
    told.push([type, id, payload?.[0]?.extensions?.code].filter((part) => part !== undefined).join(' '));
  });
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  const send = (type: string, id?: string, payload?: object): void => socket.send(JSON.stringify({ type, id, payload }));
  if (init) send('connection_init');
  return { socket, send, told, closed, pings: () => pings, heard: (line: string) => eventually(() => told.includes(line), line) };
}

const models = { query: '{ models { name } }' };
const forever = { query: 'subscription { predictions(source: "none") { id } }' };

describe('a socket that nobody needs gives its place back', { timeout: 60_000 }, () => {
  let edge: EdgeUnderTest;
  before(async () => void (edge = await edgeOf({ initMs: 300, pingMs: 200, idleMs: 1_500 })));
  after(() => edge.close());

  test('one that does not begin, one that asks nothing, and one that answers no ping', async () => {
    const [mute, idle, dead] = await Promise.all([open(edge.url, { init: false }), open(edge.url), open(edge.url, { autoPong: false })]);
    dead.send('subscribe', 'a', forever);
    assert.deepEqual(await Promise.all([mute.closed, idle.closed, dead.closed]), [4408, 4408, 1006]);
    assert.equal(dead.pings(), 1);
  });

  test('one whose subscription is waited for stays, though nothing comes', async () => {
    const waiting = await open(edge.url);
    waiting.send('subscribe', 'a', forever);
    const idle = await open(edge.url);
    assert.equal(await idle.closed, 4408);
    await eventually(() => waiting.pings() >= 3, 'it is asked again and again whether it is there');
    assert.equal(waiting.socket.readyState, WebSocket.OPEN);
    waiting.socket.close();
    assert.equal(await waiting.closed, 1005);
  });

  test('one whose message does not come to its end', async () => {
    const slow = await edgeOf({ frameMs: 500 });
    const { port } = new URL(slow.url);
    const socket = connect({ port: Number(port), host: '127.0.0.1' }, () =>
      socket.write('GET /graphql HTTP/1.1\r\nhost: localhost\r\nx-api-key: one\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n'));
    const masked = (payload: Buffer, length = payload.length): Buffer => {
      const head = Buffer.from([0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0]);
      head.writeUInt16BE(length, 2);
      return Buffer.concat([head, payload]);
    };
    let heard = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => (heard = Buffer.concat([heard, chunk]))).on('error', () => {});
    await eventually(() => heard.includes('\r\n\r\n'), 'the upgrade');
    socket.write(masked(Buffer.from('{"type":"connection_init"}'.padEnd(200))));
    socket.write(masked(Buffer.from('{"type":"subscribe","id":"a",'), 60_000));
    const drip = setInterval(() => socket.write(' '.repeat(100)), 50);
    await once(socket, 'close');
    clearInterval(drip);
    await slow.close();
    assert.match(heard.toString('latin1'), /A message took too long to arrive/);
  });
});

test('a socket has a longest life, and ends with the edge', { timeout: 60_000 }, async () => {
  const short = await edgeOf({ lifeMs: 1 });
  assert.equal(await (await open(short.url)).closed, 4410);
  await short.close();
  const edge = await edgeOf({});
  const { send, closed } = await open(edge.url);
  send('subscribe', 'a', forever);
  await edge.close();
  assert.equal(await closed, 1001);
});

test('nobody takes all places: so many of one key, so many at once', { timeout: 60_000 }, async () => {
  const edge = await edgeOf({ maxSockets: 3, maxSocketsEach: 2 });
  const refused = (key: string) => refusedUpgrade(`${edge.url}/graphql`, { 'x-api-key': key });
  const [first, second] = [await open(edge.url), await open(edge.url)];
  assert.deepEqual([(await refused('one')).status, (await refused('one')).code], [429, 'rate_limited']);
  const third = await open(edge.url, { key: 'two' });
  assert.deepEqual([(await refused('three')).status, (await refused('three')).code], [503, 'overloaded']);
  first.socket.close();
  await first.closed;
  // The edge hears of it a little later.
  await eventually(() => edge.server.app.websocketServer.clients.size === 2, 'a place');
  const again = await open(edge.url);
  for (const { socket, closed } of [second, third, again]) {
    socket.close();
    await closed;
  }
  await edge.close();
});

test('what operations were asked with is held within a bound, and given back when they are over', { timeout: 60_000 }, async () => {
  const edge = await edgeOf({ totalBytes: 60_000 });
  const { send, told, heard, socket } = await open(edge.url);
  const image = picture('chelsea').toString('base64');
  assert.ok(image.length > 30_000 && image.length < 55_000, `${image.length}`);
  const infer = { query: 'mutation ($image: String!) { infer(image: $image) { id } }', variables: { image } };
  send('subscribe', 'a', infer);
  send('subscribe', 'b', infer);
  await heard('error b overloaded');
  send('subscribe', 'c', models);
  await heard('complete c');
  assert.equal(edge.edge.waiting, 1);
  // Nothing answers here.
  await eventually(() => told.some((line) => line.endsWith(' a') || line.startsWith('error a')), 'the end of a');
  send('subscribe', 'd', infer);
  await eventually(() => edge.edge.waiting === 1, 'd is let in');
  socket.close();
  await edge.close();
});

test('within it nobody holds more than its share', { timeout: 60_000 }, async () => {
  const edge = await edgeOf({ totalBytes: 1_000_000, eachBytes: 60_000 });
  const [mine, again, other] = [await open(edge.url), await open(edge.url), await open(edge.url, { key: 'two' })];
  const infer = { query: 'mutation ($image: String!) { infer(image: $image) { id } }', variables: { image: picture('chelsea').toString('base64') } };
  mine.send('subscribe', 'a', infer);
  await eventually(() => edge.edge.waiting === 1, 'a is let in');
  again.send('subscribe', 'b', infer);
  await again.heard('error b rate_limited');
  other.send('subscribe', 'c', infer);
  await eventually(() => edge.edge.waiting === 2, "another's is let in");
  // Nothing answers here.
  await eventually(() => edge.edge.waiting === 0, 'the end of both');
  again.send('subscribe', 'd', infer);
  await eventually(() => edge.edge.waiting === 1, 'd is let in');
  for (const { socket } of [mine, again, other]) socket.close();
  await edge.close();
});
