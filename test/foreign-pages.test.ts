/** Pages of other sites in the browser of somebody whose machine runs an edge: what they can make it send, and whether it is answered. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { httpServer } from '../processors/edge/server.ts';
import { openMode } from '../processors/edge/principal.ts';
import { sqlDoor } from '../processors/assembly/sql-door.ts';
import { Registry } from 'prom-client';
import { type EdgeUnderTest, picture, startEdgeUnderTest } from './support/edge.ts';
import { quiet } from './support/pipeline.ts';

const friend = 'https://app.example';
const stranger = 'https://evil.example';

/** As a browser sends it: `fetch` would not let itself be told Host and Sec-Fetch-*. */
function ask(url: string, { method = 'GET', body, ...headers }: Record<string, string | Buffer | undefined> & { readonly method?: string } = {}): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    // A connection of its own: of an upgrade that was refused the edge ends it.
    const sent = request(url, { agent: false, method, headers: headers as Record<string, string> }, (response) => {
      // A stream of events does not end.
      if (response.headers['content-type']?.startsWith('text/event-stream')) return resolve({ status: response.statusCode!, body: '' }), void response.destroy();
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve({ status: response.statusCode!, body: Buffer.concat(chunks).toString() })).on('error', reject);
    });
    sent.on('upgrade', (_response, socket) => (socket.destroy(), resolve({ status: 101, body: '' }))).on('error', reject).end(body);
  });
}
const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-protocol': 'graphql-transport-ws' };
const sockets = ['/v1/stream?source=x', '/graphql'];
const form = (): Pick<RequestInit, 'method'> & Record<'body' | 'content-type', string | Buffer> & { method: string } => ({
  method: 'POST',
  'content-type': 'multipart/form-data; boundary=x',
  body: Buffer.concat([Buffer.from('--x\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'), picture('coffee'), Buffer.from('\r\n--x--\r\n')]),
});

/** The same through GraphQL: to a browser a form is a simple request, whatever is in it. */
const graphqlForm = (): ReturnType<typeof form> => {
  const field = (name: string, value: object) => `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${JSON.stringify(value)}\r\n`;
  const head = field('operations', { query: 'mutation ($file: Upload!) { infer(file: $file) { id } }', variables: { file: null } }) + field('map', { image: ['variables.file'] });
  return { ...form(), body: Buffer.concat([Buffer.from(head), form().body as Buffer]) };
};

describe('where nobody is asked who they are', { timeout: 60_000 }, () => {
  let edge: EdgeUnderTest;
  before(async () => void (edge = await startEdgeUnderTest({ live: true, origins: [friend] })));
  after(() => edge.close());
  const statusOf = async (path: string, headers: Parameters<typeof ask>[1]) => (await ask(`${edge.url}${path}`, headers)).status;

  test('a page of another site gets nothing in: no form, no picture, no event, no socket', async () => {
    assert.equal(await statusOf('/v1/infer', form()), 200, 'that it would be answered');
    assert.match((await ask(`${edge.url}/graphql`, graphqlForm())).body, /"data":\{"infer":\{"id"/, 'and so would this');
    for (const origin of [stranger, 'null', 'http://localhost:1', `${edge.url}.evil.example`]) {
      const refused = await ask(`${edge.url}/v1/infer`, { ...form(), origin });
      assert.equal(refused.status, 403, origin);
      assert.match(refused.body, /SACCADE_CORS/);
      assert.equal(await statusOf('/graphql', { ...graphqlForm(), origin }), 403, `a form for GraphQL of ${origin}`);
      for (const path of ['/health', '/live/events', '/v1/predictions', '/graphql']) assert.equal(await statusOf(path, { origin }), 403, path);
      for (const path of sockets) assert.equal(await statusOf(path, { origin, ...upgrade }), 403, `${path} ${origin}`);
    }
    // What is loaded, not fetched, has no Origin.
    for (const site of ['cross-site', 'same-site']) {
      assert.equal(await statusOf('/v1/stats', { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }), 403);
      assert.equal(await statusOf('/', { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }), 403);
      for (const [path, sent] of [['/v1/infer', form()], ['/graphql', graphqlForm()]] as const) {
        assert.equal(await statusOf(path, { ...sent, 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }), 403);
      }
    }
  });

  test('a name that was made to lead here is none of ours, whatever the request says besides', async () => {
    for (const host of ['evil.example', 'evil.example:8080', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.7', '[::2]:80', 'localhost@evil.example']) {
      for (const path of ['/v1/predictions', '/', '/metrics', '/live/events', '/openapi.json']) assert.equal(await statusOf(path, { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }), 403, `${host} ${path}`);
      assert.equal(await statusOf('/v1/infer', { ...form(), host, 'x-forwarded-host': 'localhost' }), 403, host);
      for (const path of sockets) assert.equal(await statusOf(path, { host, origin: `http://${host}`, ...upgrade }), 403, host);
    }
  });

  test('its own page, programs, links and pages that are named go on', async () => {
    const { host } = new URL(edge.url);
    for (const name of [host, 'localhost', 'localhost:1', 'saccade.localhost:8080', '127.8.8.8:1', '[::1]:9', 'app.example']) assert.equal(await statusOf('/health', { host: name }), 200, name);
    assert.equal(await statusOf('/v1/infer', { ...form(), origin: edge.url, 'sec-fetch-site': 'same-origin' }), 200);
    assert.equal(await statusOf('/', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }), 200);
    assert.equal(await statusOf('/', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }), 200);
    assert.equal(await statusOf('/v1/infer', { ...form(), origin: friend, 'sec-fetch-site': 'cross-site' }), 200);
    for (const path of sockets) for (const origin of [undefined, edge.url, friend]) assert.equal(await statusOf(path, { ...upgrade, ...(origin === undefined ? {} : { origin }) }), 101, `${path} ${origin}`);
  });
});

test("with keys it is the sockets that no page but the edge's own and those that are named may open", async () => {
  const edge = await startEdgeUnderTest({ stages: [], origins: [friend], access: async () => ({ authenticate: openMode('default'), guard() {}, routes() {} }) });
  for (const [origin, host, status] of [[stranger, undefined, 403], ['null', undefined, 403], [friend, 'edge.example', 101], ['https://edge.example', 'edge.example', 101], ['https://edge.example', 'inside:8080', 403]] as const) {
    for (const path of sockets) assert.equal((await ask(`${edge.url}${path}`, { ...upgrade, origin, ...(host === undefined ? {} : { host }) })).status, status, `${path} ${origin}`);
  }
  // A key is not what a browser has of its own: what shows one, its page was given.
  assert.equal((await ask(`${edge.url}/health`, { origin: stranger, host: 'edge.example' })).status, 200);
  await edge.close();
});

test('behind a proxy that is trusted the page has the name that the proxy was called by', async () => {
  const server = await httpServer({ metrics: new Registry(), troubles: () => ({}), startedAt: 0, logger: quiet, authenticate: openMode('default'), trustedProxies: ['127.0.0.1'] });
  const url = await server.listen('127.0.0.1', 0);
  const at = async (headers: Record<string, string>) => (await ask(`${url}/health`, { connection: 'upgrade', upgrade: 'x', ...headers })).status;
  assert.equal(await at({ host: 'inside:8080', 'x-forwarded-host': 'edge.example', origin: 'https://edge.example' }), 200);
  assert.equal(await at({ host: 'inside:8080', 'x-forwarded-host': 'edge.example', origin: stranger }), 403);
  await server.close();
});

test("ClickHouse's interface is asked by no other name either, where it asks nobody who they are", async () => {
  const door = (open: boolean) => sqlDoor({ ask: null as never, shown: 'saccade', authenticate: openMode('default'), open, origins: ['http://host.example:8123'] });
  const pinged = async (open: boolean, host: string) => (await door(open).inject({ url: '/ping', headers: { host } })).statusCode;
  assert.deepEqual(await Promise.all(['evil.example:8123', 'localhost:8123', 'host.example:8123'].map((host) => pinged(true, host))), [403, 200, 200]);
  assert.equal(await pinged(false, 'evil.example:8123'), 200);
});
