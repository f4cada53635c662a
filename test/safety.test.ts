/** Headers, other origins, slow clients, certificates that are renewed, and what never gets into a log. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import Fastify from 'fastify';
import { SaccadeError } from '../connectors/errors.ts';
import { createLogger } from '../connectors/telemetry/logging.ts';
import { readConfig } from '../processors/config.ts';
import { liveRoutes } from '../processors/edge/live-routes.ts';
import { installPrincipals, noVigil, openMode } from '../processors/edge/principal.ts';
import { keepCertificate, readCertificate } from '../processors/edge/tls.ts';
import { connectionLimits } from '../processors/edge/server.ts';
import { picture, problemOf, startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { makeCertificate, needsRedisAndOpenssl as needsOpenssl } from './support/redis.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saccade-safety-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

describe('open mode is for this machine alone', () => {
  const read = (env: Record<string, string>) => readConfig([], env, '/nonexistent').settings;
  test('any other HOST needs keys, and the refusal names both settings', () => {
    for (const HOST of ['0.0.0.0', '::', '10.0.0.7', 'edge.example', '127.0.0.1.evil.example', '::ffff:127.0.0.1']) {
      assert.throws(() => read({ HOST }), { code: 'invalid_config', message: /HOST is '.*SACCADE_AUTH=required/ }, HOST);
      assert.equal(read({ HOST, SACCADE_AUTH: 'required' }).HOST, HOST);
    }
    for (const HOST of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) assert.equal(read({ HOST }).HOST, HOST);
    // Health and metrics alone: an orchestrator asks from outside.
    assert.equal(read({ HOST: '0.0.0.0', SACCADE_STAGES: 'infer' }).HOST, '0.0.0.0');
  });
  test('halves of what goes together, and what would serve nothing, are refused', () => {
    assert.throws(() => read({ SACCADE_TLS_CERT: 'a' }), /SACCADE_TLS_CERT and SACCADE_TLS_KEY/);
    assert.throws(() => read({ SACCADE_AUTH: 'required', SACCADE_OIDC_ISSUER: 'https://a.example' }), /SACCADE_OIDC_AUDIENCE/);
    for (const url of ['http://a.example', 'http://localhost.a.example', 'ftp://localhost', 'a.example']) assert.throws(() => read({ SACCADE_AUTH: 'required', SACCADE_OIDC_ISSUER: url, SACCADE_OIDC_AUDIENCE: 'x' }), /SACCADE_OIDC_ISSUER/, url);
    for (const url of ['https://a.example/realms/x', 'http://localhost:8081/realms/x', 'http://127.0.0.1', 'http://[::1]:1']) read({ SACCADE_AUTH: 'required', SACCADE_OIDC_ISSUER: url, SACCADE_OIDC_AUDIENCE: 'x' });
    assert.throws(() => read({ SACCADE_METRICS_TOKEN: 'x'.repeat(20) }), /SACCADE_METRICS_TOKEN is set, and SACCADE_AUTH is open/);
    assert.throws(() => read({ SACCADE_AUTH: 'required', SACCADE_OIDC_ISSUER: 'https://a.example', SACCADE_OIDC_AUDIENCE: 'x', SACCADE_OIDC_ALGORITHMS: 'HS256' }), /SACCADE_OIDC_ALGORITHMS/);
    for (const DATABASE_URL of ['mysql://u:s3cret@h/d', 'postgres//u:s3cret@h', 'u:s3cret@h']) assert.throws(() => read({ DATABASE_URL }), (error: Error) => /DATABASE_URL/.test(error.message) && !/s3cret/.test(error.message));
    for (const SACCADE_SEALING_KEY of ['c2hvcnQ=', `${'A'.repeat(43)}=,correct horse`]) {
      assert.throws(() => read({ SACCADE_SEALING_KEY }), (error: Error) => /SACCADE_SEALING_KEY is '…': 32 bytes/.test(error.message) && !/horse|c2hv/.test(error.message));
    }
    assert.throws(() => read({ SACCADE_SEALING_KEY: `${'A'.repeat(43)}=`, SACCADE_SEALING_KEY_FILE: 'x' }), /both set/);
    assert.throws(() => read({ SACCADE_AUTH: 'required', SACCADE_SECOND_FACTOR: 'required', DATABASE_URL: 'postgres://h/d' }), /SACCADE_SEALING_KEY/);
    assert.throws(() => read({ SACCADE_CORS: 'https://app.example/path' }), /SACCADE_CORS/);
  });
});

test("a file's name makes no file, and does not come back, whatever becomes of the picture", async () => {
  const logged: string[] = [];
  const tell = (fields: object, message: string): void => void logged.push(JSON.stringify(fields) + message);
  const edge = await startEdgeUnderTest({ logger: { warn: tell, error: tell } });
  const mark = `evil-${process.pid}`;
  const names = [`../../../../../../${join(tmpdir(), mark)}.jpg`, `${tmpdir()}/${mark}`, `..\\..\\${mark}`, `${mark}\0.jpg`, `${mark}<script>alert(1)</script>.jpg`, `${mark}-${'x'.repeat(5_000)}`];
  for (const [field, path] of [['image', '/v1/infer'], ['images', '/v1/batch_infer']] as const) {
    for (const [bytes, type] of [[picture('coffee'), 'image/jpeg'], [Buffer.from('no picture'), 'text/html']] as const) {
      for (const name of names) {
        const form = new FormData();
        form.append(field, new Blob([new Uint8Array(bytes)], { type }), name);
        const response = await fetch(`${edge.url}${path}`, { method: 'POST', body: form });
        assert.ok(response.status < 500, `${response.status}`);
        assert.ok(!`${JSON.stringify([...response.headers])}${await response.text()}`.includes(mark), `${path} tells ${name}`);
      }
    }
  }
  await edge.close();
  assert.deepEqual(logged, []);
  for (const folder of [tmpdir(), process.cwd(), '/']) for (const file of [mark, `${mark}.jpg`]) assert.ok(!existsSync(join(folder, file)), join(folder, file));
});

test("no address that a caller names is fetched, by whatever door it comes", async () => {
  let asked = 0;
  const target = createServer((_request, response) => {
    asked += 1;
    response.setHeader('content-type', 'image/jpeg').end(picture('coffee'));
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const { port } = target.address() as { port: number };
  const url = `http://127.0.0.1:${port}/coffee.jpg`;
  // That it would be seen.
  await (await fetch(url)).arrayBuffer();
  assert.equal(asked, 1);
  const edge = await startEdgeUnderTest();
  const post = (path: string, body: string | FormData, type?: string) => fetch(`${edge.url}${path}`, { method: 'POST', body, ...(type === undefined ? {} : { headers: { 'content-type': type } }) });
  const form = (field: string, value: string | Blob): FormData => {
    const made = new FormData();
    made.append(field, value as string);
    return made;
  };
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="${url}" width="9" height="9"/></svg>`;
  const tensor = JSON.stringify({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [1], data: [url] }] });
  const answers = await Promise.all([
    post(`/v1/infer?image=${encodeURIComponent(url)}`, url, 'image/jpeg'),
    post('/v1/infer', JSON.stringify({ image: url, url }), 'application/json'),
    post('/v1/infer', form('image', url)),
    post('/v1/infer', form('image', new Blob([svg], { type: 'image/svg+xml' }))),
    post('/v1/infer', svg, 'image/svg+xml'),
    post('/v1/batch_infer', form('images', new Blob([url]))),
    post('/graphql', JSON.stringify({ query: 'mutation ($u: String!) { infer(image: $u) { id } }', variables: { u: url } }), 'application/json'),
    post('/v2/models/nanodet/infer', tensor, 'application/json'),
  ]);
  for (const answer of answers) assert.doesNotMatch(await answer.text(), /"label":/);
  await edge.close();
  target.close();
  assert.equal(asked, 1);
});

test('pages of other origins are named: what is not there is still not there', async () => {
  const edge = await startEdgeUnderTest({ stages: [], origins: ['https://app.example'] });
  await problemOf(await fetch(`${edge.url}/nowhere`), 404, 'not_found');
  const wrong = await fetch(`${edge.url}/v1/infer`);
  assert.equal(wrong.headers.get('allow'), 'POST');
  await problemOf(wrong, 405, 'method_not_allowed');
  await edge.close();
});

test('every answer has the headers, refusals and what is not there too; the page keeps its own policy', async () => {
  const edge = await startEdgeUnderTest({ stages: [] });
  for (const [path, init, status] of [['/health', {}, 200], ['/nowhere', {}, 404], ['/v1/results/none', {}, 400], ['/v1/infer', { method: 'POST', body: 'x', headers: { 'content-type': 'image/png' } }, 415]] as const) {
    const response = await fetch(`${edge.url}${path}`, init);
    assert.equal(response.status, status, path);
    for (const [name, value] of [['x-content-type-options', 'nosniff'], ['x-frame-options', 'DENY'], ['referrer-policy', 'no-referrer'], ['cross-origin-resource-policy', 'same-origin']]) assert.equal(response.headers.get(name!), value, `${path} ${name}`);
    assert.match(response.headers.get('content-security-policy')!, /^default-src 'none'/);
    assert.equal(response.headers.get('strict-transport-security'), null, 'not over plain HTTP');
    assert.equal(response.headers.get('x-powered-by'), null);
  }
  assert.match((await fetch(`${edge.url}/`)).headers.get('content-security-policy')!, /script-src 'self'/);
  const events = await fetch(`${edge.url}/live/events`);
  assert.equal(events.headers.get('x-content-type-options'), 'nosniff');
  await events.body?.cancel();
  await edge.close();
});

test('pages of other origins: none unless they are named', async () => {
  const ask = (url: string, origin: string, init: RequestInit = {}) => fetch(`${url}/health`, { ...init, headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' } });
  const closed = await startEdgeUnderTest({ stages: [] });
  assert.equal((await ask(closed.url, 'https://app.example')).headers.get('access-control-allow-origin'), null);
  await closed.close();
  const open = await startEdgeUnderTest({ stages: [], origins: ['https://app.example'] });
  const allowed = await ask(open.url, 'https://app.example', { method: 'OPTIONS' });
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example');
  assert.match(allowed.headers.get('access-control-allow-headers')!, /authorization/);
  assert.equal(allowed.headers.get('access-control-allow-credentials'), null);
  assert.equal((await ask(open.url, 'https://evil.example', { method: 'OPTIONS' })).headers.get('access-control-allow-origin'), null);
  await open.close();
});

test('a client that takes its time with headers or body is cut off, others are served meanwhile, and too many are cut', async () => {
  const edge = await startEdgeUnderTest({ stages: [], limits: { ...connectionLimits, headersMs: 600, requestMs: 1_500, checkMs: 100, most: 20 } });
  const { port } = new URL(edge.url);
  /** Sends a byte now and then, as slowly as nobody honest would. */
  const slow = (head: string, more: string) =>
    new Promise<string>((resolve) => {
      let heard = '';
      const socket = connect({ port: Number(port), host: '127.0.0.1' }, () => socket.write(head));
      const drip = setInterval(() => socket.writable && socket.write(more), 100);
      socket.on('data', (chunk) => (heard += String(chunk))).on('error', () => {}).on('close', () => (clearInterval(drip), resolve(heard)));
    });
  const cut = Promise.all([
    slow('GET /health HTTP/1.1\r\nhost: localhost\r\n', 'x-a: b\r\n'),
    slow('POST /v1/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\ncontent-length: 100000\r\n\r\n', 'a'),
    slow('', ''),
  ]);
  assert.equal((await fetch(`${edge.url}/health`)).status, 200);
  const said = await cut;
  for (const answer of said.slice(0, 2)) assert.match(answer, /^HTTP\/1\.1 408/);
  const many = Array.from({ length: 40 }, () => connect({ port: Number(port), host: '127.0.0.1' }).on('error', () => {}));
  await eventually(() => many.every((socket) => socket.destroyed || !socket.connecting) && many.filter((socket) => !socket.destroyed).length <= 20, 'those above the limit to be cut');
  assert.ok(many.some((socket) => !socket.destroyed));
  for (const socket of many) socket.destroy();
  await eventually(async () => (await fetch(`${edge.url}/health`).catch(() => null))?.status === 200, 'room again');
  await edge.close();
});

test('a viewer that does not read is let go', async () => {
  const app = Fastify();
  installPrincipals(app, openMode('default'));
  let tell: ((event: { event: string; data: unknown }) => void) | null = null;
  const view = {
    snapshot: () => ({}), follow: () => () => {}, picture: async () => null, seen: () => {},
    subscribe(listener: NonNullable<typeof tell>) {
      tell = listener;
      return () => void (tell = null);
    },
  };
  liveRoutes(app, { live: { of: () => view }, vigil: noVigil });
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
  const socket = connect({ port: Number(port), host: '127.0.0.1' }, () => socket.pause().write('GET /live/events HTTP/1.1\r\nhost: x\r\n\r\n'));
  socket.on('error', () => {});
  await eventually(() => tell !== null, 'the viewer');
  const megabyte = 'x'.repeat(1024 * 1024);
  let told = 0;
  await eventually(() => {
    // The system's own buffers take some of it.
    if (told++ < 64) tell?.({ event: 'stats', data: megabyte });
    return tell === null;
  }, 'the viewer to be let go');
  socket.destroy();
  await app.close();
});

test('whoever is refused a WebSocket is cut off: the limits of HTTP no longer hold for such a connection', async () => {
  const edge = await startEdgeUnderTest({
    stages: [],
    access: async () => ({
      authenticate: async ({ headers }) => {
        if (headers.authorization === undefined) throw new SaccadeError('unauthenticated');
        return { id: 'key:x', tenant: 'default', role: 'viewer', kind: 'key' };
      },
      guard() {}, routes() {},
    }),
  });
  const { port } = new URL(edge.url);
  const refused = (path: string, headers = '') =>
    new Promise<string>((resolve, reject) => {
      let heard = '';
      // It never closes by itself.
      const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true }, () =>
        socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n${headers}\r\n`));
      socket.on('data', (chunk) => (heard += String(chunk))).on('error', reject).on('end', () => (resolve(heard.slice(0, 12)), socket.destroy()));
    });
  const good = 'authorization: Bearer x\r\n';
  assert.deepEqual(
    await Promise.all([refused('/v1/stream?source=x'), refused('/v1/stream?source=x', good), refused('/graphql'), refused('/nowhere', good), refused('/health')]),
    ['HTTP/1.1 401', 'HTTP/1.1 403', 'HTTP/1.1 401', 'HTTP/1.1 404', 'HTTP/1.1 200'],
  );
  await edge.close();
});

describe('HTTPS', { skip: needsOpenssl }, () => {
  const serial = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = tlsConnect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const serialOf = (cert: string): string => execFileSync('openssl', ['x509', '-noout', '-serial', '-in', cert]).toString().trim().replace('serial=', '');

  test('serves by its files, takes up renewed ones, and keeps the old where the new do not fit', async () => {
    const [one, two] = [makeCertificate(), makeCertificate()];
    const files = { cert: join(scratch, 'cert.pem'), key: join(scratch, 'key.pem') };
    const place = ({ cert, key }: { cert: string; key: string }) => (copyFileSync(cert, files.cert), copyFileSync(key, files.key));
    place(one);
    const warned: string[] = [];
    const edge = await startEdgeUnderTest({ stages: [], tls: files, logger: { warn: (_fields, message) => void warned.push(message), error() {} } });
    const { protocol, port } = new URL(edge.url);
    assert.equal(protocol, 'https:');
    const answer = await new Promise<{ status: number; hsts: string }>((resolve, reject) =>
      httpsRequest({ port, host: 'localhost', path: '/health', ca: readFileSync(one.cert) }, (response) => {
        response.resume();
        resolve({ status: response.statusCode!, hsts: String(response.headers['strict-transport-security']) });
      }).on('error', reject).end());
    assert.equal(answer.status, 200);
    assert.match(answer.hsts, /max-age=\d{7,}/);
    assert.equal(await serial(Number(port)), serialOf(one.cert));
    // Sooner than the edge itself looks.
    const stop = keepCertificate(edge.server.app.server as never, files, { warn: (_fields, message) => void warned.push(message), error() {} }, 50);
    copyFileSync(two.cert, files.cert);
    await eventually(() => warned.length > 0, 'the warning that they do not fit');
    assert.equal(await serial(Number(port)), serialOf(one.cert));
    copyFileSync(two.key, files.key);
    await eventually(async () => (await serial(Number(port))) === serialOf(two.cert), 'the new certificate');
    stop();
    await edge.close();
  });

  test('files that cannot be used name their settings', () => {
    const [one, two] = [makeCertificate(), makeCertificate()];
    assert.throws(() => readCertificate({ cert: join(scratch, 'none'), key: one.key }), { code: 'invalid_config', message: /SACCADE_TLS_CERT is '.*ENOENT/ });
    assert.throws(() => readCertificate({ cert: one.cert, key: two.key }), { code: 'invalid_config', message: /SACCADE_TLS_KEY/ });
    writeFileSync(join(scratch, 'junk'), 'junk');
    assert.throws(() => readCertificate({ cert: join(scratch, 'junk'), key: one.key }), { code: 'invalid_config' });
  });
});

test('no key, token, cookie or password gets into a log', () => {
  const path = join(scratch, 'logs', 'saccade.log');
  const log = createLogger({ to: 'file', level: 'info', path });
  const key = `sac_${'k'.repeat(16)}_${'s'.repeat(43)}`;
  const jwt = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from('{"sub":"jane"}').toString('base64url')}.${'g'.repeat(86)}`;
  log.error({ authorization: `Bearer ${key}`, headers: { cookie: 'session=abc123xyz', 'x-api-key': key, authorization: `Bearer ${jwt}` }, req: { headers: { authorization: 'Basic dXNlcjpodW50ZXIy' } }, password: 'hunter2' }, 'a request');
  log.error({ err: new Error(`refused: ${key} at postgres://saccade:hunter2@db/x and ?ticket=${jwt}`) }, `for ${key}`);
  log.flush();
  const text = readFileSync(path, 'utf8');
  assert.equal(text.trim().split('\n').length, 2);
  assert.doesNotMatch(text, /s{43}|g{86}|hunter2|abc123xyz|dXNlcjp/);
  assert.match(text, new RegExp(`sac_${'k'.repeat(16)}_…`), 'whose key it was is told');
});
