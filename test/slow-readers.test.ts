/** Clients that do not read what they asked for: let go, on every door, while one that reads slowly is served whole. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import dns from 'node:dns';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { sqlDoor } from '../processors/assembly/sql-door.ts';
import { openMode } from '../processors/edge/principal.ts';
import { connectionLimits } from '../processors/edge/server.ts';
import { slowReaders } from '../processors/edge/slow-readers.ts';
import { startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { makeCertificate, needsRedisAndOpenssl as needsOpenssl } from './support/redis.ts';

/** More than any buffer of the system between two sockets of one machine. */
const large = Buffer.alloc(128 * 1024 * 1024, 'x');
const impatient = { ...connectionLimits, stalledMs: 400, checkMs: 50 };

/** Asks, and reads nothing until it is resumed. */
async function silent(connected: Socket, path = '/', headers = ''): Promise<Socket> {
  connected.on('error', () => {}).pause();
  await once(connected, 'ready').catch(() => {});
  connected.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}\r\n`);
  return connected;
}
const plain = (port: number): Socket => connect({ port, host: '127.0.0.1' });
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

describe('by its own clock', () => {
  const tls = (port: number): Socket => tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  const servers = {
    'over HTTP': { make: (answer: (response: ServerResponse) => void) => createHttpServer((_request, response) => answer(response)), open: plain, skip: false },
    'over HTTPS': {
      make(answer: (response: ServerResponse) => void) {
        const { cert, key, folder } = makeCertificate();
        const pair = { cert: readFileSync(cert), key: readFileSync(key) };
        rmSync(folder, { recursive: true });
        return createHttpsServer(pair, (_request, response) => answer(response));
      },
      open: tls,
      skip: needsOpenssl,
    },
  };
  for (const [kind, { make, open, skip }] of Object.entries(servers)) {
    test(`${kind}: who reads nothing for so long is let go, who reads a little now and then is not`, { skip }, async (t) => {
      const answers: ServerResponse[] = [];
      const server = make((response) => (answers.push(response), response.end(large)));
      let now = 0;
      const look = slowReaders(server, { stalledMs: 1_000, now: () => now });
      t.after(() => (server.close(), server.closeAllConnections()));
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const client = await silent(open(portOf(server)));
      const left = once(client, 'close');
      await eventually(() => (answers[0]?.socket?.writableLength ?? 0) > 0, 'an answer that waits');
      let [bytes, enough] = [0, 0];
      client.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes >= enough) client.pause();
      }).pause();
      look();
      // Five times as long as it may stand still, moving a little each time: by megabytes, since buffers on the way fill up first.
      for (let step = 1; step <= 6; step++) {
        enough = bytes + 8 * 1024 * 1024;
        client.resume();
        await eventually(() => bytes >= enough, 'it to have read');
        now += 900;
        look();
        assert.equal(answers[0]!.destroyed, false, `after ${bytes} bytes`);
      }
      now += 500;
      look();
      assert.equal(answers[0]!.destroyed, false);
      now += 500;
      look();
      await eventually(() => answers[0]!.destroyed, 'it to be let go');
      enough = Infinity;
      client.resume();
      await left;
      assert.ok(bytes < large.length);
    });
  }

  test('who waits for an answer that is not there yet is left alone, however long', async (t) => {
    const answers: ServerResponse[] = [];
    const server = createHttpServer((_request, response) => void answers.push(response));
    let now = 0;
    const look = slowReaders(server, { stalledMs: 1_000, now: () => now });
    t.after(() => (server.close(), server.closeAllConnections()));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const asked = fetch(`http://127.0.0.1:${portOf(server)}`);
    await eventually(() => answers.length === 1, 'the question');
    for (let i = 0; i < 5; i++) {
      now += 10_000;
      look();
    }
    answers[0]!.end('late');
    assert.equal(await (await asked).text(), 'late');
  });
});

test('on the edge', async () => {
  const answers: ServerResponse[] = [];
  const edge = await startEdgeUnderTest({
    stages: [],
    limits: impatient,
    access: async () => ({
      authenticate: openMode('default'),
      guard() {},
      routes: (app) => void app.get('/large', { config: { needs: 'viewer' } }, (_request, reply) => (answers.push(reply.raw), reply.send(large))),
    }),
  });
  const client = await silent(plain(Number(new URL(edge.url).port)), '/large');
  await eventually(() => answers[0]?.destroyed === true, 'it to be let go');
  let bytes = 0;
  client.on('data', (chunk: Buffer) => (bytes += chunk.length)).resume();
  await once(client, 'close');
  assert.ok(bytes > 0 && bytes < large.length, `${bytes} bytes`);
  await edge.close();
});

describe('on the SQL port', () => {
  const door = (stream: () => Readable) => sqlDoor({
    ask: async () => ({ stream: stream(), summary: null, format: 'TSV', queryId: 'q' }), shown: 'saccade', authenticate: openMode('default'),
    limits: { ...impatient, headersMs: 600, requestMs: 1_500, most: 5 },
  });

  test('its limits hold for every address it listens on, whatever localhost stands for', async (t) => {
    const lookup = dns.lookup as unknown as (host: string, options: { readonly all?: boolean }, done: (...found: unknown[]) => void) => void;
    const two = [{ address: '127.0.0.1', family: 4 }, { address: '127.0.0.2', family: 4 }];
    t.mock.method(dns, 'lookup', ((host, options, done) => (options.all && host === 'localhost' ? done(null, two) : lookup(host, options, done))) as typeof lookup);
    const app = door(() => Readable.from(['1\n']));
    t.after(() => app.close());
    await app.listen({ host: 'localhost', port: 0 });
    assert.deepEqual(app.addresses(), [app.server.address()]);
    assert.equal(app.server.maxConnections, 5);
  });

  test('an answer that is not read ends, and so gives its turn back', async (t) => {
    const streams: Readable[] = [];
    // Nothing that could be packed.
    const piece = randomBytes(1024 * 1024);
    const endless = function* (): Generator<Buffer> {
      for (;;) yield piece;
    };
    const app = door(() => {
      const stream = Readable.from(endless());
      streams.push(stream);
      return stream;
    });
    t.after(() => app.close());
    const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
    const clients = await Promise.all(['/?query=SELECT+1', '/?query=SELECT+1&enable_http_compression=1'].map((path) => silent(plain(Number(port)), path, 'accept-encoding: gzip\r\n')));
    await eventually(() => streams.length === 2 && streams.every((stream) => stream.destroyed), 'each to end');
    for (const client of clients) client.destroy();
  });

  test('a question that takes its time to come is refused, and of too many connections some are cut', async (t) => {
    const app = door(() => Readable.from(['1\n']));
    t.after(() => app.close());
    const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
    const drip = plain(Number(port)).on('error', () => {});
    let heard = '';
    drip.on('data', (chunk) => (heard += String(chunk))).write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n');
    const dripping = setInterval(() => drip.writable && drip.write('S'), 50);
    await once(drip, 'close');
    clearInterval(dripping);
    assert.match(heard, /^HTTP\/1\.1 408/);
    const many = Array.from({ length: 10 }, () => plain(Number(port)).on('error', () => {}));
    await eventually(() => many.filter(({ destroyed }) => destroyed).length >= 5, 'those above the limit to be cut');
    for (const socket of many) socket.destroy();
  });
});
