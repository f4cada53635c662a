/** Requests that offer another protocol, as some clients do unasked, are served by HTTP; those for a WebSocket are none of them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { hasProgram, skipUnless } from './support/components.ts';
import { type EdgeUnderTest, picture, startEdgeUnderTest } from './support/edge.ts';
import { streamClient } from './support/stream-client.ts';

const run = promisify(execFile);
const needsJdk = skipUnless(hasProgram('javac', '-version'), 'a JDK', 'install openjdk-17-jdk-headless');
const needsCurl = skipUnless(hasProgram('curl', '--version'), 'curl', 'install curl');

describe('an offer to upgrade', () => {
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest({ maxImageBytes: 4_000_000 });
  });
  after(() => edge.close());

  /** Requests on one connection, each sent when the one before is answered; their status lines. */
  async function onOneConnection(...requests: readonly (readonly [head: string, body?: Buffer])[]): Promise<string[]> {
    const socket = connect(Number(new URL(edge.url).port), '127.0.0.1');
    const statuses: string[] = [];
    try {
      for (const [head, body = Buffer.alloc(0)] of requests) {
        socket.write(Buffer.concat([Buffer.from(`${head}\r\nHost: ${new URL(edge.url).host}\r\nContent-Length: ${body.length}\r\n\r\n`), body]));
        statuses.push(await answer(socket));
      }
    } finally {
      socket.destroy();
    }
    return statuses;
  }

  /** The status line of the next answer, once its body is there. */
  const answer = (socket: ReturnType<typeof connect>): Promise<string> =>
    new Promise((resolve, reject) => {
      let heard = '';
      const ended = (): void => reject(new Error(`the connection ended after ${JSON.stringify(heard)}`));
      const read = (chunk: Buffer): void => {
        heard += chunk.toString('latin1');
        const [head, ...rest] = heard.split('\r\n\r\n');
        const length = /content-length: (\d+)/i.exec(head!)?.[1];
        if (length === undefined || rest.join('\r\n\r\n').length < Number(length)) return;
        socket.off('data', read).off('close', ended);
        resolve(heard.slice(0, heard.indexOf('\r\n')));
      };
      socket.on('data', read).on('close', ended).on('error', reject);
    });

  const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__';

  test('of h2c is passed over: bodies are read, small and large, and the connection stays', async () => {
    const post = `POST /v1/infer HTTP/1.1\r\nContent-Type: image/jpeg\r\n${h2c}`;
    const large = Buffer.concat([picture('coffee'), Buffer.alloc(3_000_000)]);
    const statuses = await onOneConnection([post, picture('coffee')], [`GET /v1/models HTTP/1.1\r\n${h2c}`], [post, large], ['GET /health HTTP/1.1'], [post, Buffer.from('no picture')], ['GET /health HTTP/1.1']);
    assert.deepEqual(statuses, ['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 415 Unsupported Media Type', 'HTTP/1.1 200 OK']);
  });

  test('of anything but a WebSocket, or by a POST, is passed over as well', async () => {
    const offers = (protocol: string, method = 'GET') => `${method} /v1/stream HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: ${protocol}`;
    assert.deepEqual(await onOneConnection([offers('tcp')], [offers('websocket', 'POST')], ['GET /health HTTP/1.1']), ['HTTP/1.1 426 Upgrade Required', 'HTTP/1.1 405 Method Not Allowed', 'HTTP/1.1 200 OK']);
  });

  test('of a WebSocket is taken', async () => {
    const client = await streamClient(edge.url, { source: 'gate', policy: 'wait' });
    assert.equal(client.closed(), null);
    assert.equal(typeof client.welcome().session, 'string');
    client.socket.close();
  });

  test("Java's HttpClient as it comes", { skip: needsJdk }, async () => {
    const { stdout } = await run('java', ['test/support/java/Infer.java', edge.url, 'media/coffee.jpg']);
    assert.match(stdout, /^HTTP_1_1 200 .*espresso.*\nHTTP_1_1 200 .*nanodet.*\nHTTP_1_1 200 .*espresso.*\n$/);
  });

  test('curl --http2', { skip: needsCurl }, async () => {
    const { stdout } = await run('curl', ['--silent', '--http2', '--form', 'image=@media/coffee.jpg', `${edge.url}/v1/infer`, '--write-out', '\n%{http_version} %{http_code}']);
    assert.match(stdout, /espresso[^\n]*\n1\.1 200$/);
  });
});
