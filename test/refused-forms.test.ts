/** A form that is refused before its end: its client gets to send the rest, and the connection goes on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type EdgeUnderTest, startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';

const field = (name: string, value: unknown): Buffer => Buffer.from(`--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${JSON.stringify(value)}\r\n`);
const file = (name: string, bytes: number): Buffer => Buffer.concat([Buffer.from(`--x\r\ncontent-disposition: form-data; name="${name}"; filename="a.jpg"\r\n\r\n`), Buffer.alloc(bytes), Buffer.from('\r\n')]);
const end = Buffer.from('--x--\r\n');
/** More than all buffers on the way take. */
const long = 16_000_000;
const most = 18_000_000;
const document = [field('operations', { query: '{ models { name } }', variables: { file: null, other: null } }), field('map', { 0: ['variables.file'] })];

const forms: readonly (readonly [what: string, path: string, parts: readonly Buffer[], status: string])[] = [
  ['a field that is none, for GraphQL', '/graphql', [field('note', 1), file('0', long)], '400'],
  ['a file that the map does not name', '/graphql', [...document, file('1', long)], '400'],
  ['another file after one that is too large', '/graphql', [...document, file('0', most + 1), file('1', 1_000_000)], '413'],
  ['a file by another name, of many', '/v1/batch_infer', [file('photo', long)], '400'],
  ['one of too many files', '/v1/infer', [file('image', 10), file('image', long)], '400'],
];

describe('a form that is refused before its end', { timeout: 60_000 }, () => {
  let edge: EdgeUnderTest;
  before(async () => void (edge = await startEdgeUnderTest({ stages: [], maxImageBytes: most, maxBatchBytes: 2 * most })));
  after(() => edge.close());

  for (const [what, path, parts, status] of forms) {
    test(`${what}: the rest is read, and the next request by that connection is answered`, async () => {
      const { hostname, port, host } = new URL(edge.url);
      const socket = connect(Number(port), hostname);
      let heard = '';
      socket.on('data', (data) => (heard += data.toString('latin1')));
      await once(socket, 'connect');
      const body = Buffer.concat([...parts, end]);
      socket.write(`POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: ${body.length}\r\n\r\n`);
      socket.write(body);
      socket.write(`GET /health HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
      const statuses = (): string[] => [...heard.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]!);
      await eventually(() => statuses().length === 2, 'two answers');
      assert.deepEqual(statuses(), [status, '200']);
      socket.destroy();
    });
  }

  for (const [path, parts] of [['/v1/batch_infer', [file('images', most), file('images', long)]], ['/graphql', [document[0]!, field('map', { 0: ['variables.file'], 1: ['variables.other'] }), file('0', long), file('1', long)]]] as const) {
    test(`${path}: of what does not say how long it is no more is held than there may be, and the next request is answered`, async () => {
      const held = await startEdgeUnderTest({ stages: [], maxImageBytes: most, maxBatchBytes: most + 1_000_000 });
      const { hostname, port, host } = new URL(held.url);
      const socket = connect(Number(port), hostname);
      let heard = '';
      socket.on('data', (data) => (heard += data.toString('latin1')));
      await once(socket, 'connect');
      socket.write(`POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: multipart/form-data; boundary=x\r\ntransfer-encoding: chunked\r\n\r\n`);
      const chunk = (bytes: Buffer): boolean => socket.write(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]));
      // The last file has come in part, and is not ended before the answer is there.
      const body = Buffer.concat([...parts]);
      chunk(body.subarray(0, -2_000_000));
      await eventually(() => /HTTP\/1\.1 413/.test(heard), 'the refusal');
      assert.match(heard, /payload_too_large/);
      chunk(Buffer.concat([body.subarray(-2_000_000), end]));
      socket.write(`0\r\n\r\nGET /health HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
      await eventually(() => /HTTP\/1\.1 200/.test(heard), 'the next answer');
      socket.destroy();
      await held.close();
    });
  }
});
