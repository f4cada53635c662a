import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { frames, socketFactory } from '../connectors/kafka/socket.ts';

const sized = (body: Buffer): Buffer => Buffer.concat([Buffer.from(Uint32Array.of(body.length).buffer).swap32(), body]);
const collect = (): { got: Buffer[]; push: (bytes: Buffer) => void } => {
  const got: Buffer[] = [];
  return { got, push: frames((response) => got.push(response)).push };
};

describe('responses out of a stream of bytes', () => {
  const responses = [0, 1, 3, 70, 5_000, 300_000].map((size) => sized(randomBytes(size)));
  const stream = Buffer.concat(responses);

  for (const step of [1, 2, 3, 5, 64, 4_096, 65_536, stream.length]) {
    test(`in pieces of ${step}`, () => {
      const { got, push } = collect();
      // The memory is used again for every piece, as the socket's is.
      const memory = Buffer.alloc(step);
      for (let at = 0; at < stream.length; at += step) {
        const count = stream.copy(memory, 0, at, at + step);
        push(memory.subarray(0, count));
        memory.fill(0xee);
      }
      assert.deepEqual(got.map(({ length }) => length), responses.map(({ length }) => length));
      assert.ok(got.every((response, i) => response.equals(responses[i]!)));
    });
  }

  test('what cannot be a response is refused before memory is given to it', () => {
    assert.throws(() => collect().push(Buffer.from([0x15, 3, 3, 0, 2])), /TLS/);
    assert.throws(() => collect().push(Buffer.from([0xff, 0xff, 0xff, 0xff])), RangeError);
    assert.throws(() => collect().push(Buffer.from('HTTP/1.1 400')), RangeError);
  });
});

describe('the socket', { timeout: 20_000 }, () => {
  async function serve(onConnection: (socket: Socket) => void) {
    const server = createServer(onConnection).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = socketFactory({ host: '127.0.0.1', port, ssl: undefined as never, onConnect: () => {} });
    return { socket, close: () => (socket.destroy(), server.close()) };
  }

  test('hands on whole responses, and its end', async () => {
    const sent = [sized(randomBytes(1_000_000)), sized(randomBytes(8))];
    const { socket, close } = await serve((peer) => peer.end(Buffer.concat(sent)));
    const got: Buffer[] = [];
    socket.on('data', (data: Buffer) => got.push(data));
    await once(socket, 'end');
    assert.ok(got.length === 2 && got.every((response, i) => response.equals(sent[i]!)));
    close();
  });

  test('fails with a sentence when something else answers', async () => {
    const { socket, close } = await serve((peer) => peer.write('HTTP/1.1 400 Bad Request\r\n'));
    socket.on('data', () => {});
    const [error] = (await once(socket, 'error')) as [Error];
    assert.match(error.message, /no Kafka/);
    close();
  });
});
