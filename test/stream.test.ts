/** /v1/stream over the real stages and models: order, flow, what a client can do wrong, and coming back. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { fileRegistry } from '../connectors/registry/files.ts';
import type { Prediction } from '../schemas/records.ts';
import { type EdgeUnderTest, picture, startEdgeUnderTest } from './support/edge.ts';
import { eventually, readAll } from './support/pipeline.ts';
import { framed, refusedUpgrade, streamClient, type StreamClient } from './support/stream-client.ts';

const small = await sharp(picture('coffee')).resize(160, 120).jpeg().toBuffer();
const astronaut = await sharp(picture('astronaut')).resize(256).jpeg().toBuffer();

async function outcomesOf(edge: EdgeUnderTest, source: string): Promise<Prediction[]> {
  const registry = fileRegistry();
  const all = await Promise.all((await readAll(edge.log, 'predictions')).map(async (r) => (await registry.decode('predictions', r.value!)) as Prediction));
  return all.filter((prediction) => prediction.source === source);
}

async function ledger(edge: EdgeUnderTest): Promise<Record<string, number>> {
  const text = await (await fetch(`${edge.url}/metrics`)).text();
  const counts: Record<string, number> = { offered: 0, acknowledged: 0, dropped: 0, refused: 0, repeated: 0 };
  for (const [, outcome, value] of text.matchAll(/^saccade_stream_frames_total\{outcome="(\w+)",reason="\w*"\} (\d+)/gm)) counts[outcome!]! += Number(value);
  return { ...counts, inHand: Number(/^saccade_stream_in_hand_frames (\d+)/m.exec(text)![1]), bytes: Number(/^saccade_stream_in_hand_bytes (\d+)/m.exec(text)![1]) };
}

async function balanced(edge: EdgeUnderTest): Promise<Record<string, number>> {
  await eventually(async () => (await ledger(edge)).inHand === 0, 'no frame in hand');
  const counts = await ledger(edge);
  assert.equal(counts.offered, counts.acknowledged! + counts.dropped! + counts.refused!, JSON.stringify(counts));
  assert.equal(counts.bytes, 0);
  return counts;
}

const sequences = (client: StreamClient): number[] => client.outcomes().map(({ sequence }) => sequence!);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const answeredAll = (client: StreamClient, n: number) => eventually(() => client.outcomes().length >= n, `${n} outcomes`);

describe('/v1/stream', () => {
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest({ stream: { openMs: 2_000, idleMs: 60_000 } });
  });
  after(() => edge.close());

  test('every frame is answered, in order, with boxes in pixels of the picture and a stored outcome', async () => {
    const client = await streamClient(edge.url, { source: 'gate', model: 'nanodet', policy: 'wait' });
    const { session, credits, model, received, resume } = client.welcome();
    assert.match(String(session), /^[0-9a-f-]{36}$/);
    assert.deepEqual([credits, model, received, resume], [8, 'nanodet', null, 'new']);
    for (let i = 0; i < 20; i++) await client.paced(i, astronaut);
    await answeredAll(client, 20);
    assert.deepEqual(sequences(client), upTo(20));
    for (const told of client.outcomes()) {
      assert.equal(told.type, 'result', JSON.stringify(told));
      const person = (told.detections as { label: string; box: number[] }[]).find(({ label }) => label === 'person');
      assert.ok(person && person.box[2]! <= 256, JSON.stringify(told));
      assert.ok((told.timings_ms as { total: number }).total >= 0);
    }
    await eventually(async () => (await outcomesOf(edge, 'gate')).length === 20, 'the outcomes in the log');
    const stored = await outcomesOf(edge, 'gate');
    assert.deepEqual(stored.map(({ sequence }) => sequence).toSorted((a, b) => a! - b!), upTo(20));
    assert.deepEqual(new Set(stored.map(({ frame_id }) => frame_id)), new Set(client.outcomes().map(({ id }) => id)));
    await client.close();
    await balanced(edge);
  });

  test('opened by a message instead of the query; the first model and the live policy are the defaults', async () => {
    const client = await streamClient(edge.url, null);
    client.say({ type: 'open', source: 'by-message' });
    await eventually(() => client.told.length > 0, 'the welcome');
    assert.deepEqual([client.welcome().model, client.welcome().policy], ['efficientnet-lite0', 'drop_oldest']);
    await client.paced(7, small);
    await answeredAll(client, 1);
    assert.equal(client.outcomes()[0]!.sequence, 7);
    assert.equal((client.outcomes()[0]!.predictions as { label: string }[])[0]!.label, 'espresso');
    client.say({ type: 'end' });
    await eventually(() => client.closed() !== null, 'the end');
    assert.equal(client.closed()!.code, 1000);
  });

  test('a bad picture is an error for its number, in its place, and the stream goes on', async () => {
    const client = await streamClient(edge.url, { source: 'mixed', policy: 'wait' });
    const frames = [small, Buffer.from('not a picture'), small, small.subarray(0, small.length / 3), Buffer.alloc(0), small];
    for (const [i, image] of frames.entries()) await client.paced(i, image);
    await answeredAll(client, frames.length);
    assert.deepEqual(sequences(client), upTo(frames.length));
    assert.deepEqual(
      client.outcomes().map(({ type, code }) => (type === 'error' ? code : type)),
      ['result', 'unsupported_media_type', 'result', 'undecodable_image', 'payload_empty', 'result'],
    );
    assert.equal(client.closed(), null);
    await client.close();
    await balanced(edge);
  });

  test('a live session behind its sender drops the oldest, says so, and every number has one outcome in order', async () => {
    const client = await streamClient(edge.url, { source: 'live', model: 'nanodet' });
    for (let i = 0; i < 120; i++) await client.paced(i, small);
    await answeredAll(client, 120);
    assert.deepEqual(sequences(client), upTo(120));
    const dropped = client.outcomes().filter(({ type }) => type === 'dropped');
    assert.ok(dropped.length > 0, 'it was behind');
    assert.ok(dropped.every(({ reason }) => reason === 'behind'));
    assert.equal(client.outcomes().at(-1)!.type, 'result', 'the newest is not dropped');
    await client.close();
    const counts = await balanced(edge);
    assert.ok(counts.dropped! >= dropped.length);
    const stored = await outcomesOf(edge, 'live');
    assert.equal(stored.length, 120 - dropped.length, 'what was dropped never reached the log');
  });

  test('frames captured earlier keep their time', async () => {
    const client = await streamClient(edge.url, { source: 'timed', policy: 'wait' });
    client.frame(3, small, 1_767_225_600_000);
    await answeredAll(client, 1);
    await eventually(async () => (await outcomesOf(edge, 'timed')).length === 1, 'the outcome');
    const [stored] = await outcomesOf(edge, 'timed');
    assert.deepEqual([stored!.captured_at, stored!.sequence], [1_767_225_600_000, 3]);
    await client.close();
  });

  describe('a client that does not keep to the protocol is closed with a code that says why', () => {
    async function closedBy(act: (client: StreamClient) => void, wish: Record<string, string> | null = { source: 'rude', policy: 'wait' }): Promise<{ code: number; reason: string }> {
      const client = await streamClient(edge.url, wish);
      act(client);
      await eventually(() => client.closed() !== null, 'the end of the socket');
      return client.closed()!;
    }
    const cases: [string, (client: StreamClient) => void, number, RegExp, null?][] = [
      ['text where a frame is due', (c) => c.socket.send('hello'), 4400, /JSON message; frames are binary/],
      ['text as long as a picture', (c) => c.socket.send('x'.repeat(100_000)), 4400, /100000 characters/],
      ['a message of no known type', (c) => c.say({ type: 'hurry' }), 4400, /type/],
      ['a field too many', (c) => c.say({ type: 'ack', sequence: 1, speed: 2 }), 4400, /speed/],
      ['an ack of nonsense', (c) => c.say({ type: 'ack', sequence: -1 }), 4400, /sequence/],
      ['a frame shorter than its header', (c) => c.socket.send(Buffer.alloc(11)), 4400, /11/],
      ['a frame from the far future', (c) => c.frame(0, small, 2 ** 52), 4400, /captured_at/],
      ['a flood beyond its credits', (c) => { for (let i = 0; i < 40; i++) c.frame(i, small); }, 4429, /credits/],
      ['text that is not UTF-8', (c) => c.socket.send(Buffer.from([0xff, 0xfe]), { binary: false }), 1007, /^/],
      ['a message above the limit', (c) => c.socket.send(Buffer.alloc(4 * 1024 * 1024 + 100)), 1009, /^/],
      ['a second opening', (c) => c.say({ type: 'open', source: 'again' }), 4400, /open already/],
      ['a frame before the opening', (c) => c.frame(0, small), 4400, /before the session is open/, null],
      ['an opening without a source', (c) => c.say({ type: 'open', model: 'nanodet' }), 4400, /source/, null],
      ['a model that is not served', (c) => c.say({ type: 'open', source: 'x', model: 'resnet' }), 4404, /resnet/, null],
      ['silence instead of an opening', () => {}, 4408, /opened in time/, null],
      ['a frame after the end', (c) => { c.frame(0, small); c.say({ type: 'end' }); c.frame(1, small); }, 4400, /after the end/],
    ];
    for (const [what, act, code, reason, wish] of cases) {
      test(what, async () => {
        const closed = await closedBy(act, wish === null ? null : undefined);
        assert.equal(closed.code, code, JSON.stringify(closed));
        assert.match(closed.reason, reason);
      });
    }

    test('what is wrong with the query is told before the upgrade', async () => {
      const at = (query: string, headers = {}) => refusedUpgrade(`${edge.url}/v1/stream${query}`, headers);
      assert.deepEqual([(await at('?policy=never&source=x')).status, (await at('?policy=never&source=x')).detail.includes('policy')], [400, true]);
      assert.match((await at('?model=nanodet')).detail, /source/);
      assert.match((await at('?source=x&session=7')).detail, /session/);
      assert.match((await at('?source=x&acknowledged=-1')).detail, /acknowledged/);
      assert.deepEqual((await at('?source=x', { origin: 'https://elsewhere.example' })).code, 'forbidden');
      const plain = await fetch(`${edge.url}/v1/stream?source=x`);
      assert.equal(plain.status, 426);
    });

    test('a page of the edge itself may stream', async () => {
      const client = await streamClient(edge.url, { source: 'page' }, { origin: edge.url });
      assert.equal(client.welcome().resume, 'new');
      await client.close();
    });

    test('torn and fragmented frames: a message in pieces is one frame, a socket cut within one harms nobody', async () => {
      const client = await streamClient(edge.url, { source: 'pieces', policy: 'wait' });
      const whole = framed(0, small);
      client.socket.send(whole.subarray(0, 5), { fin: false });
      client.socket.send(whole.subarray(5, 700), { fin: false });
      client.socket.send(whole.subarray(700), { fin: true });
      await answeredAll(client, 1);
      assert.equal(client.outcomes()[0]!.type, 'result');
      client.socket.send(framed(1, small).subarray(0, 400), { fin: false });
      client.socket.terminate();
      const next = await streamClient(edge.url, { source: 'pieces', policy: 'wait' });
      await next.paced(0, small);
      await answeredAll(next, 1);
      await next.close();
      await balanced(edge);
    });
  });

  describe('coming back', () => {
    const base = { source: 'returning', model: 'efficientnet-lite0', policy: 'wait' };

    test('what was answered meanwhile is told again, a frame sent twice is one frame', async () => {
      const first = await streamClient(edge.url, base);
      const { session } = first.welcome();
      for (let i = 0; i < 6; i++) await first.paced(i, small);
      await eventually(() => first.outcomes().length >= 2, 'some outcomes');
      // The client takes in two of them, and its network goes.
      first.socket.terminate();
      const second = await streamClient(edge.url, { ...base, session: String(session), acknowledged: 1 });
      const { resume, received, missing_to } = second.welcome();
      assert.deepEqual([resume, received, missing_to], ['held', 5, null]);
      await answeredAll(second, 4);
      assert.deepEqual(sequences(second), [2, 3, 4, 5]);
      // Careful clients send again what they are not sure of.
      for (const i of [4, 5]) await second.paced(i, small);
      await eventually(() => second.told.filter(({ type }) => type === 'duplicate').length === 2, 'both recognised');
      await second.paced(6, small);
      await answeredAll(second, 5);
      assert.equal(second.outcomes().length, 5);
      assert.equal(second.credits(), 8, 'a repeat costs no credit for ever');
      await second.close();
      await eventually(async () => (await outcomesOf(edge, 'returning')).length >= 7, 'the outcomes');
      assert.equal((await outcomesOf(edge, 'returning')).length, 7);
      await balanced(edge);
    });

    test('at another edge, and then at the first again: each number has one outcome, and each frame is stored once', async (t) => {
      const other = await startEdgeUnderTest({ stages: [], wrap: () => ({ ...edge.log, close: async () => {} }) });
      t.after(() => other.close());
      const wish = { ...base, source: 'wandering' };
      const outcomes: number[] = [];
      const session: Record<string, string | number> = {};
      /** Sends up to `last`, waits for all outcomes, and goes without a word. */
      async function visit(place: EdgeUnderTest, first: number, last: number): Promise<Record<string, unknown>> {
        const client = await streamClient(place.url, { ...wish, ...session });
        for (let i = first; i <= last; i++) await client.paced(i, small);
        await answeredAll(client, last - Number(session.acknowledged ?? -1));
        outcomes.push(...sequences(client));
        Object.assign(session, { session: String(client.welcome().session), acknowledged: last });
        client.socket.terminate();
        const { resume, received } = client.welcome();
        return { resume, received, repeated: client.told.filter(({ type }) => type === 'duplicate').length };
      }
      assert.deepEqual(await visit(edge, 0, 2), { resume: 'new', received: null, repeated: 0 });
      assert.deepEqual(await visit(other, 3, 9), { resume: 'moved', received: 2, repeated: 0 });
      // It is not sure of the last two.
      assert.deepEqual(await visit(edge, 8, 12), { resume: 'held', received: 9, repeated: 2 });
      assert.deepEqual(await visit(other, 13, 15), { resume: 'held', received: 12, repeated: 0 });
      assert.deepEqual(outcomes, upTo(16));
      await eventually(async () => (await outcomesOf(edge, 'wandering')).length >= 16, 'the outcomes');
      assert.equal((await outcomesOf(edge, 'wandering')).length, 16);
    });

    test('without its model: what the session was opened with, not what is the default by now', async () => {
      const first = await streamClient(edge.url, { ...base, model: 'nanodet' });
      const { session } = first.welcome();
      first.socket.terminate();
      const second = await streamClient(edge.url, { source: base.source, policy: 'wait', session: String(session) });
      assert.deepEqual([second.welcome().resume, second.welcome().model], ['held', 'nanodet']);
      await second.close();
    });

    test('the older socket of a session is closed when a newer one takes it over', async () => {
      const first = await streamClient(edge.url, base);
      const second = await streamClient(edge.url, { ...base, session: String(first.welcome().session) });
      await eventually(() => first.closed() !== null, 'the end of the first');
      assert.equal(first.closed()!.code, 4409);
      await second.paced(0, small);
      await answeredAll(second, 1);
      await second.close();
    });

    test('a session resumed as something else is refused', async () => {
      const first = await streamClient(edge.url, base);
      const other = await streamClient(edge.url, { ...base, source: 'another', session: String(first.welcome().session) });
      await eventually(() => other.closed() !== null, 'the refusal');
      assert.equal(other.closed()!.code, 4400);
      assert.match(other.closed()!.reason, /source is 'another'/);
      await first.close();
    });

    test('a session this edge does not know goes on where the client says, under the same frame ids', async () => {
      const session = '5f0c2a1e-8f6b-4c3a-9d27-0b1c9f6f3a11';
      const first = await streamClient(edge.url, { ...base, source: 'moved', session, acknowledged: 4 });
      assert.deepEqual([first.welcome().resume, first.welcome().received], ['moved', 4]);
      await first.paced(4, small);
      await first.paced(5, small);
      await answeredAll(first, 1);
      assert.deepEqual([first.told.filter(({ type }) => type === 'duplicate').length, sequences(first)], [1, [5]]);
      await first.close();
      const { streamFrameId } = await import('../processors/edge/stream/prepare-frame.ts');
      assert.equal(first.outcomes()[0]!.id, streamFrameId('default', 'moved', session, 5));
    });
  });
});
