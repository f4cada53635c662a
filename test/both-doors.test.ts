/** Requests and live streams at one edge: either door closes for what has come by the other, and neither for good. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { type EdgeUnderTest, picture, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { streamClient, type StreamClient } from './support/stream-client.ts';

const small = await sharp(picture('coffee')).resize(160, 120).jpeg().toBuffer();
const ask = (edge: EdgeUnderTest, query = ''): Promise<Response> => fetch(`${edge.url}/v1/infer${query}`, raw(small));
const waiting = (edge: EdgeUnderTest, count: number) => eventually(async () => edge.edge.waiting === count, `${count} in the pipeline`);
/** One after the other: of several that wait the newest stay. */
async function send(edge: EdgeUnderTest, client: StreamClient, sequences: readonly number[]): Promise<void> {
  for (const sequence of sequences) {
    const before = edge.edge.waiting;
    await client.paced(sequence, small);
    await waiting(edge, before + 1);
  }
}

describe('four at once, and nothing is answered', () => {
  const four = { stages: [], pace: { paceFirst: 4, paceLeast: 1 } } satisfies Parameters<typeof startEdgeUnderTest>[0];

  test('frames fill the pipeline: requests have half of it, and the next is refused unread', async () => {
    const edge = await startEdgeUnderTest({ ...four, requestTimeoutMs: 2_500, stream: { liveFirst: 4, liveMs: 60_000 } });
    const gate = await streamClient(edge.url, { source: 'gate' });
    await send(edge, gate, [0, 1, 2, 3]);
    const letIn = [ask(edge)];
    await waiting(edge, 5);
    letIn.push(ask(edge));
    await waiting(edge, 6);
    await problemOf(await ask(edge), 503, 'overloaded');
    const other = ask(edge, '?model=nanodet');
    await waiting(edge, 7);
    assert.deepEqual((await Promise.all([...letIn, other])).map(({ status }) => status), [504, 504, 504], 'another model has its own');
    await gate.close();
    await edge.close();
  });

  test('requests fill it: a live stream has half, drops what has waited its time, and goes on when they have gone', async () => {
    const edge = await startEdgeUnderTest({ ...four, requestTimeoutMs: 3_000, stream: { liveFirst: 4, liveMs: 60_000, liveTargetMs: 300 } });
    const asked = Array.from({ length: 4 }, () => ask(edge));
    await waiting(edge, 4);
    const gate = await streamClient(edge.url, { source: 'gate' });
    await send(edge, gate, [0, 1]);
    await gate.paced(2, small);
    // Its outcome comes in order, so after those that are not answered: that its credit is back tells of it.
    await eventually(async () => /saccade_stream_frames_total\{outcome="dropped",reason="behind"\} 1/.test(await (await fetch(`${edge.url}/metrics`)).text()), 'the third is dropped');
    assert.deepEqual((await Promise.all(asked)).map(({ status }) => status), [504, 504, 504, 504]);
    await send(edge, gate, [3]);
    await gate.close();
    await edge.close();
  });

  test('a stream that wants every frame answered waits for requests with all but half, and loses none', async () => {
    const edge = await startEdgeUnderTest({ ...four, requestTimeoutMs: 2_000, stream: { liveFirst: 4 } });
    const asked = Array.from({ length: 4 }, () => ask(edge));
    await waiting(edge, 4);
    const archive = await streamClient(edge.url, { source: 'archive', policy: 'wait' });
    for (let i = 0; i < 8; i++) await archive.paced(i, small);
    await waiting(edge, 6);
    assert.deepEqual((await Promise.all(asked)).map(({ status }) => status), [504, 504, 504, 504]);
    await waiting(edge, 8);
    await archive.close();
    await edge.close();
  });
});

describe('four at once, of which what is no picture comes back at once', () => {
  const four = { stages: ['preprocess'], requestTimeoutMs: 4_000, pace: { paceFirst: 4, paceLeast: 1, targetMs: 60_000 }, stream: { liveFirst: 4, liveMs: 60_000, liveTargetMs: 1_500 } } satisfies Parameters<typeof startEdgeUnderTest>[0];
  /** It begins like one. */
  const broken = Buffer.concat([small.subarray(0, 300), Buffer.alloc(300)]);

  test('by requests: a hundred of them make no more room for pictures', async () => {
    const edge = await startEdgeUnderTest(four);
    const statuses = new Set<number>();
    const person = async (): Promise<void> => {
      for (let i = 0; i < 25; i++) statuses.add((await fetch(`${edge.url}/v1/infer`, raw(broken))).status);
    };
    await Promise.all([person(), person(), person(), person()]);
    assert.deepEqual(statuses, new Set([422]));
    const asked = [];
    for (let i = 1; i <= 4; i++) {
      asked.push(ask(edge));
      await waiting(edge, i);
    }
    await problemOf(await ask(edge), 503, 'overloaded');
    await Promise.all(asked);
    await edge.close();
  });

  test('by streams: nor do a hundred of their frames', async () => {
    const edge = await startEdgeUnderTest(four);
    const cameras = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((source) => streamClient(edge.url, { source })));
    const film = async (camera: StreamClient): Promise<void> => {
      for (let i = 0; i < 25; i++) {
        await camera.paced(i, broken);
        await eventually(() => camera.outcomes().length === i + 1, 'its outcome');
      }
      assert.deepEqual(new Set(camera.outcomes().map(({ code }) => code)), new Set(['undecodable_image']));
    };
    await Promise.all(cameras.slice(0, 4).map(film));
    for (const camera of cameras.slice(0, 4)) await send(edge, camera, [25]);
    await cameras[4]!.paced(0, small);
    await eventually(() => cameras[4]!.outcomes()[0]?.reason === 'behind', 'the fifth is dropped when it has waited its time');
    assert.equal(edge.edge.waiting, 4);
    await Promise.all(cameras.map((camera) => camera.close()));
    await edge.close();
  });
});

test('more of either than a real model answers: both are answered all the time, every frame has one outcome, and together they keep to the limit', async () => {
  const edge = await startEdgeUnderTest({ pace: { paceFirst: 8, paceLeast: 1, maxAwaited: 8 }, stream: { liveFirst: 8, liveMost: 8 } });
  const enough = 40;
  const statuses: number[] = [];
  let most = 0;
  const answered = (): number => statuses.filter((status) => status === 200).length;
  const results = (client: StreamClient): number => client.outcomes().filter(({ type }) => type === 'result').length;
  const cameras = await Promise.all(Array.from({ length: 6 }, (_, i) => streamClient(edge.url, { source: `camera-${i}` })));
  const fromCameras = (): number => cameras.reduce((sum, camera) => sum + results(camera), 0);
  const done = (): boolean => answered() >= enough && fromCameras() >= enough;

  async function film(camera: StreamClient): Promise<void> {
    let sequence = 0;
    while (!done()) await camera.paced(sequence++, small);
    await eventually(() => camera.outcomes().length === sequence, 'an outcome for each');
    assert.deepEqual(camera.outcomes().map((told) => told.sequence), Array.from({ length: sequence }, (_, i) => i));
    assert.ok(camera.outcomes().every(({ type, reason }) => type === 'result' || reason === 'behind'));
  }
  async function person(): Promise<void> {
    while (!done()) {
      const response = await ask(edge);
      most = Math.max(most, edge.edge.waiting);
      await response.arrayBuffer();
      statuses.push(response.status);
    }
  }
  await Promise.all([...cameras.map(film), ...Array.from({ length: 12 }, person)]);
  assert.deepEqual(new Set(statuses), new Set([200, 503]));
  assert.ok(cameras.every((camera) => results(camera) > 0), 'each camera has its share');
  assert.ok(most <= 12, `${most} at once: eight, and half of that for whoever comes later`);
  await Promise.all(cameras.map((camera) => camera.close()));
  await edge.close();
});
