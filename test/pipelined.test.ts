/** Clients that leave where Node tells nobody: before they were let in, or with several requests on one connection. What they had is given back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import type { FastifyRequest } from 'fastify';
import sharp from 'sharp';
import type { Principal } from '../processors/edge/principal.ts';
import { type EdgeUnderTest, picture, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';

const small = await sharp(picture('coffee')).resize(160, 120).jpeg().toBuffer();
const request = Buffer.concat([Buffer.from(`POST /v1/infer HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: image/jpeg\r\ncontent-length: ${small.length}\r\n\r\n`), small]);

function send(edge: EdgeUnderTest, requests: readonly Buffer[]): Socket {
  const socket = connect(Number(new URL(edge.url).port), '127.0.0.1');
  socket.on('error', () => {}).write(Buffer.concat(requests));
  return socket;
}
/** In the pipeline, where nobody answers: not refused at the gate. */
const letIn = async (edge: EdgeUnderTest, count: number): Promise<void> =>
  assert.deepEqual(new Set((await Promise.all(Array.from({ length: count }, () => fetch(`${edge.url}/v1/infer`, raw(small))))).map(({ status }) => status)), new Set([504]));

test('three requests at once by one connection, which ends: each gives its place back', async () => {
  const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 1_000, maxWaiting: 3 });
  const socket = send(edge, [request, request, request]);
  await eventually(async () => edge.edge.waiting === 3, 'they are in');
  socket.destroy();
  await eventually(async () => edge.edge.waiting === 0, 'their time is up');
  await letIn(edge, 3);
  await edge.close();
});

test('a client that leaves while it is asked who it is has no place', async () => {
  const who: Principal = { tenant: 'default', id: 'key:1', role: 'operator', kind: 'key' };
  const first = { asks: false, passed: false };
  const authenticate = async ({ raw: { socket } }: FastifyRequest): Promise<Principal> => {
    if (first.asks) return who;
    first.asks = true;
    await once(socket, 'close');
    // After what is next.
    setImmediate(() => (first.passed = true));
    return who;
  };
  const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 500, maxWaiting: 1, access: async () => ({ authenticate, guard() {}, routes() {} }) });
  const socket = send(edge, [request]);
  await eventually(async () => first.asks, 'it asks');
  socket.destroy();
  await eventually(async () => first.passed, 'it has gone on without a client');
  await letIn(edge, 1);
  await edge.close();
});
