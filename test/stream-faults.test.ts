/** /v1/stream when something fails: slow and silent clients, no room, a quota, a log that is away, an edge that stops. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { WebSocket } from 'ws';
import { SaccadeError } from '../connectors/errors.ts';
import type { Log } from '../connectors/ports.ts';
import type { Principal } from '../processors/edge/principal.ts';
import { type EdgeUnderTest, picture, startEdgeUnderTest } from './support/edge.ts';
import { eventually, readAll } from './support/pipeline.ts';
import { framed, refusedUpgrade, streamClient, type StreamClient } from './support/stream-client.ts';

const small = await sharp(picture('coffee')).resize(160, 120).jpeg().toBuffer();
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const sequences = (client: StreamClient): number[] => client.outcomes().map(({ sequence }) => sequence!);
const answered = (client: StreamClient, n: number) => eventually(() => client.outcomes().length >= n || client.closed() !== null, `${n} outcomes`, 60_000);
const metric = async (edge: EdgeUnderTest, name: string): Promise<number> => {
  const text = await (await fetch(`${edge.url}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')}[^\\n]* (\\d+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0);
};
const framesIn = async (edge: EdgeUnderTest): Promise<number> => (await readAll(edge.log, 'frames')).length;

async function withEdge(options: Parameters<typeof startEdgeUnderTest>[0], act: (edge: EdgeUnderTest) => Promise<void>): Promise<void> {
  const edge = await startEdgeUnderTest(options);
  try {
    await act(edge);
  } finally {
    await edge.close();
  }
}

async function withModelThatGoes(): Promise<[Set<string>, EdgeUnderTest]> {
  const leaving = new Set<string>();
  return [leaving, await startEdgeUnderTest({ leaving })];
}

/** A client without a library: it upgrades, sends what it is told to, and reads or does not. */
async function bareSocket(edge: EdgeUnderTest, query: string): Promise<Socket> {
  const { port } = new URL(edge.url);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.write(`GET /v1/stream?${query} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16, 1).toString('base64')}\r\n\r\n`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  assert.match(head.toString(), /^HTTP\/1\.1 101/);
  return socket;
}

/** A masked frame of the protocol; its mask is nought, so that the bytes stay as they are. */
function bareMessage(payload: Buffer, opcode = 2): Buffer {
  const head = Buffer.alloc(8);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | 126;
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

describe('clients that are slow or silent', () => {
  test('one that keeps to its credits and stops reading is cut for that alone, what it did not read is not held for ever, and it may come back', () =>
    // So many credits that their outcomes fill what the machine holds for a socket, some megabytes.
    withEdge({ stream: { unreadBytes: 20_000, window: 40_000, reorder: 80_000 } }, async (edge) => {
      const client = await streamClient(edge.url, { source: 'deaf', policy: 'wait' });
      client.socket.pause();
      const noPicture = Buffer.from('no picture');
      let sequence = 0;
      while (client.credits() > 0 && (await metric(edge, 'saccade_stream_sockets')) === 1) {
        for (const until = sequence + 1_000; sequence < until; sequence++) client.frame(sequence, noPicture);
      }
      await eventually(async () => (await metric(edge, 'saccade_stream_sockets')) === 0, 'the end of the socket', 60_000);
      assert.deepEqual([await metric(edge, 'saccade_stream_closed_total{code="4413"}'), await metric(edge, 'saccade_stream_closed_total')], [1, 1]);
      client.socket.terminate();
      const back = await streamClient(edge.url, { source: 'deaf', policy: 'wait', session: String(client.welcome().session) });
      const { resume, received, missing_to } = back.welcome() as unknown as { resume: string; received: number; missing_to: number };
      assert.equal(resume, 'held');
      assert.ok(received < sequence && missing_to <= received, JSON.stringify({ received, missing_to, sequence }));
      assert.ok(received - missing_to <= 256, 'no more is held than may be');
      await back.paced(received + 1, small);
      await eventually(() => back.outcomes().at(-1)?.type === 'result', 'the answer to what it sends now');
      assert.deepEqual(sequences(back), upTo(received + 2).slice(missing_to + 1));
      await back.close();
    }));

  test('a half-open socket is found by its silence, and its session waits for the client to come back', () =>
    withEdge({ stream: { pingMs: 300 } }, async (edge) => {
      const client = await streamClient(edge.url, { source: 'gone', policy: 'wait' });
      await client.paced(0, small);
      await answered(client, 1);
      // As a network that swallows everything: no close, no pong.
      client.socket.pause();
      await eventually(async () => (await metric(edge, 'saccade_stream_sockets')) === 0, 'its end');
      assert.equal(await metric(edge, 'saccade_stream_closed_total{code="1006"}'), 1);
      const back = await streamClient(edge.url, { source: 'gone', policy: 'wait', session: String(client.welcome().session), acknowledged: 0 });
      assert.deepEqual([back.welcome().resume, back.welcome().received], ['held', 0]);
      client.socket.terminate();
      await back.close();
    }));

  test('one whose bytes are no WebSocket frame is closed with 1002', () =>
    withEdge({}, async (edge) => {
      const socket = await bareSocket(edge, 'source=confused');
      const came: Buffer[] = [];
      socket.on('data', (bytes: Buffer) => came.push(bytes));
      socket.write(Buffer.alloc(6, 0xff));
      await eventually(() => Buffer.concat(came).includes(Buffer.from([0x88, 2, 1002 >> 8, 1002 & 0xff])), 'the frame that closes it');
      await eventually(() => socket.destroyed, 'its end');
    }));

  test('one that answers pings and sends no frame is idle; one whose life is over is told to come back; a message that trickles is cut', () =>
    withEdge({ stream: { pingMs: 200, idleMs: 1_200, lifeMs: 3_000, frameMs: 1_200 } }, async (edge) => {
      const idle = await streamClient(edge.url, { source: 'idle' });
      const busy = await streamClient(edge.url, { source: 'busy', policy: 'wait' });
      const trickling = await bareSocket(edge, 'source=trickle');
      const message = bareMessage(framed(0, small));
      let [at, ended] = [0, false];
      trickling.on('close', () => (ended = true));
      trickling.resume();
      const drops = setInterval(() => at < 2_000 && trickling.write(message.subarray(at, (at += 100))), 100);
      let sequence = 0;
      const frames = setInterval(() => busy.credits() > 0 && !busy.closed() && busy.frame(sequence++, small), 200);
      await eventually(() => idle.closed() !== null && busy.closed() !== null && ended, 'all ends');
      for (const timer of [drops, frames]) clearInterval(timer);
      assert.deepEqual([idle.closed()!.code, busy.closed()!.code], [4408, 4410]);
      assert.equal(await metric(edge, 'saccade_stream_closed_total{code="4408"}'), 2);
    }));

  test('one that waits for its quota, without a credit, is not idle; it is once it may go on and does not', () =>
    withEdge({ stream: { window: 3, pingMs: 200, idleMs: 1_200 }, quota: { framesPerSecond: 0.25, burst: 1, calmMs: 1_000 } }, async (edge) => {
      const client = await streamClient(edge.url, { source: 'patient', policy: 'wait' });
      for (const i of upTo(4)) await client.paced(i, small);
      await answered(client, 2);
      assert.equal(client.closed(), null);
      await answered(client, 4);
      await eventually(() => client.closed()?.code === 4408, 'its end');
    }));

  test('more sockets than there may be are refused before the upgrade', () =>
    withEdge({ stream: { maxSockets: 2 } }, async (edge) => {
      const both = await Promise.all([0, 1].map((i) => streamClient(edge.url, { source: `s${i}` })));
      const { status, code } = await refusedUpgrade(`${edge.url}/v1/stream?source=third`);
      assert.deepEqual([status, code], [503, 'overloaded']);
      await both[0]!.close();
      await eventually(async () => (await metric(edge, 'saccade_stream_sockets')) === 1, 'room');
      const third = await streamClient(edge.url, { source: 'third' });
      await Promise.all([third.close(), both[1]!.close()]);
    }));
});

test('more sockets of one key than it may have are refused, those of others are not', async () => {
  const of = (id: string): Principal => ({ id, tenant: 'default', role: 'admin', kind: 'key', home: true });
  const edge = await startEdgeUnderTest({ stages: [], stream: { maxSocketsEach: 2 }, access: async () => ({ authenticate: async ({ headers }) => of(String(headers.who)), guard() {}, routes() {} }) });
  const mine = await Promise.all([0, 1].map((i) => streamClient(edge.url, { source: `s${i}` }, { who: 'me' })));
  const { status, code } = await refusedUpgrade(`${edge.url}/v1/stream?source=third`, { who: 'me' });
  assert.deepEqual([status, code], [429, 'rate_limited']);
  const others = await streamClient(edge.url, { source: 'other' }, { who: 'them' });
  await mine[0]!.close();
  await eventually(async () => (await metric(edge, 'saccade_stream_sockets')) === 2, 'room');
  const third = await streamClient(edge.url, { source: 'third' }, { who: 'me' });
  await Promise.all([mine[1]!, others, third].map((client) => client.close()));
  await edge.close();
});

test('a frame above the limit closes its socket however small the limit is, and a question to /graphql may still be long', async () => {
  const edge = await startEdgeUnderTest({ stages: [], stream: { frameBytes: 1_024 } });
  const client = await streamClient(edge.url, { source: 'large', policy: 'wait' });
  assert.equal(client.welcome().frame_bytes, 1_024);
  client.frame(0, Buffer.alloc(1_025));
  await eventually(() => client.closed() !== null, 'its end');
  assert.equal(client.closed()!.code, 1009);
  const questions = new WebSocket(edge.url.replace('http', 'ws') + '/graphql', 'graphql-transport-ws');
  await once(questions, 'open');
  questions.send(JSON.stringify({ type: 'connection_init', payload: { padding: 'x'.repeat(10_000) } }));
  const [answer] = (await once(questions, 'message')) as [Buffer];
  assert.equal((JSON.parse(answer.toString()) as { type: string }).type, 'connection_ack');
  questions.close();
  await once(questions, 'close');
  await edge.close();
});

describe('a model that is unloaded', () => {
  const model = 'nanodet';

  test('its streams get their outcomes and no more credits, and end; whoever comes back by then still gets them', async () => {
    const [leaving, edge] = await withModelThatGoes();
    const [idle, busy, away] = await Promise.all(['idle', 'busy', 'away'].map((source) => streamClient(edge.url, { source, model, policy: 'wait' })));
    const other = await streamClient(edge.url, { source: 'other', model: 'efficientnet-lite0', policy: 'wait' });
    for (const client of [busy!, away!]) client.frame(0, small);
    await answered(away!, 1);
    away!.socket.terminate();
    leaving.add(model);
    busy!.frame(1, small);
    await eventually(() => idle!.closed() !== null && busy!.closed() !== null, 'their end');
    assert.deepEqual([idle!.closed()!.code, busy!.closed()!.code], [4404, 4404]);
    const [first, ...rest] = busy!.outcomes();
    assert.equal(first!.type, 'result');
    assert.ok(rest.every(({ code }) => code === 'model_unloading'), JSON.stringify(rest));

    const { session } = away!.welcome();
    const back = await streamClient(edge.url, { source: 'away', policy: 'wait', session: String(session) });
    await eventually(() => back.closed() !== null, 'its end');
    assert.deepEqual([back.welcome().model, back.welcome().credits, sequences(back), back.closed()!.code], [model, 0, [0], 4404]);

    const late = await streamClient(edge.url, { source: 'late', model, policy: 'wait' });
    await eventually(() => late.closed() !== null, 'the refusal');
    assert.deepEqual([late.told, late.closed()!.code], [[], 4404]);
    other.frame(0, small);
    await answered(other, 1);
    assert.equal(other.closed(), null);

    leaving.delete(model);
    const again = await streamClient(edge.url, { source: 'away', policy: 'wait', session: String(session), acknowledged: 0 });
    await again.paced(1, small);
    await answered(again, 1);
    assert.deepEqual(again.outcomes().map(({ type }) => type), ['result'], 'it is loaded again');
    await Promise.all([again.close(), other.close()]);
    await edge.close();
  });
});

describe('sessions are bounded', () => {
  test('outcomes that are never acknowledged are let go from the oldest on, and a client that comes back is told from where', () =>
    withEdge({ stream: { keepResults: 5 } }, async (edge) => {
      const client = await streamClient(edge.url, { source: 'forgetful', policy: 'wait' });
      for (const i of upTo(12)) await client.paced(i, small);
      await answered(client, 12);
      client.socket.terminate();
      const back = await streamClient(edge.url, { source: 'forgetful', policy: 'wait', session: String(client.welcome().session), acknowledged: 2 });
      assert.equal(back.welcome().missing_to, 6);
      await answered(back, 5);
      assert.deepEqual(sequences(back), [7, 8, 9, 10, 11]);
      back.say({ type: 'ack', sequence: 10 });
      await back.paced(12, small);
      await answered(back, 6);
      back.socket.terminate();
      const again = await streamClient(edge.url, { source: 'forgetful', policy: 'wait', session: String(client.welcome().session), acknowledged: 10 });
      assert.equal(again.welcome().missing_to, null);
      await answered(again, 2);
      assert.deepEqual(sequences(again), [11, 12]);
      await again.close();
    }));

  test('all sessions together keep no more than the total: those without a client go first', () =>
    withEdge({ stream: { keepTotalBytes: 6_000 } }, async (edge) => {
      const left = await streamClient(edge.url, { source: 'left', policy: 'wait' });
      for (const i of upTo(4)) await left.paced(i, small);
      await answered(left, 4);
      await left.close();
      const busy = await streamClient(edge.url, { source: 'busy', policy: 'wait' });
      for (const i of upTo(40)) await busy.paced(i, small);
      await answered(busy, 40);
      await eventually(async () => (await metric(edge, 'saccade_stream_sessions')) === 1, 'the end of the one that was left');
      busy.socket.terminate();
      const back = await streamClient(edge.url, { source: 'busy', policy: 'wait', session: String(busy.welcome().session) });
      assert.ok((back.welcome().missing_to as number) > 20);
      await back.close();
    }));

  test('one that nobody comes back for is forgotten after a while, and comes back as moved', () =>
    withEdge({ stream: { keepMs: 1_000 } }, async (edge) => {
      const client = await streamClient(edge.url, { source: 'left' });
      await client.close();
      await eventually(async () => (await metric(edge, 'saccade_stream_sessions')) === 0, 'the end of the session');
      const back = await streamClient(edge.url, { source: 'left', session: String(client.welcome().session), acknowledged: 3 });
      assert.equal(back.welcome().resume, 'moved');
      await back.close();
    }));
});

/** A log whose `frames` cannot be written to while `away` is set; what fails may have arrived all the same. */
function failing(): { wrap: (log: Log) => Log; state: { away: boolean; lostAcks: boolean; refuses: ((size: number) => boolean) | null; requests: number[] } } {
  const state = { away: false, lostAcks: false, refuses: null as ((size: number) => boolean) | null, requests: [] as number[] };
  return {
    state,
    wrap: (log) => ({
      ...log,
      async producer() {
        const producer = await log.producer();
        return {
          ...producer,
          async send(records) {
            const frames = records.filter(({ topic }) => topic === 'frames');
            if (frames.length === 0) return producer.send(records);
            state.requests.push(frames.length);
            if (state.refuses && frames.some(({ value }) => state.refuses!(value!.length))) throw new SaccadeError('payload_too_large', 'of the record');
            if (!state.away) return producer.send(records);
            if (state.lostAcks) await producer.send(records);
            await sleep(50);
            throw new SaccadeError('log_unavailable', 'broker-7:9092 is away');
          },
        };
      },
    }),
  };
}

describe('the log is away for some seconds', () => {
  for (const lostAcks of [false, true]) {
    test(`who waits for every frame gets every answer, once and in order${lostAcks ? ', also when frames arrived and their acks did not' : ''}`, async () => {
      const { wrap, state } = failing();
      await withEdge({ wrap }, async (edge) => {
        const client = await streamClient(edge.url, { source: 'patient', policy: 'wait' });
        for (const i of upTo(4)) await client.paced(i, small);
        await answered(client, 4);
        Object.assign(state, { away: true, lostAcks });
        const sending = (async () => {
          for (let i = 4; i < 24; i++) await client.paced(i, small);
        })();
        await sleep(1_500);
        assert.ok(client.outcomes().length === 4, 'nothing is answered that the log has not acknowledged');
        assert.equal(client.closed(), null);
        state.away = false;
        await sending;
        await answered(client, 24);
        assert.deepEqual(sequences(client), upTo(24));
        assert.ok(client.outcomes().every(({ type }) => type === 'result'), JSON.stringify(client.outcomes().find(({ type }) => type !== 'result')));
        assert.doesNotMatch(JSON.stringify(client.told), /broker-7/);
        await client.close();
        assert.equal(await metric(edge, 'saccade_stream_in_hand_bytes'), 0);
      });
    });
  }

  test('a live session drops its oldest meanwhile, and goes on with the newest', async () => {
    const { wrap, state } = failing();
    await withEdge({ wrap }, async (edge) => {
      const client = await streamClient(edge.url, { source: 'live' });
      state.away = true;
      for (const i of upTo(60)) await client.paced(i, small);
      // Those that are still held are the newest: its last one is answered when the log is there again.
      await sleep(500);
      state.away = false;
      await answered(client, 60);
      assert.deepEqual(sequences(client), upTo(60));
      assert.equal(client.outcomes().at(-1)!.type, 'result');
      assert.ok(client.outcomes().filter(({ type }) => type === 'dropped').length >= 50);
      assert.equal(await metric(edge, 'saccade_stream_frames_total{outcome="dropped"'), client.outcomes().filter(({ type }) => type === 'dropped').length);
      await client.close();
    });
  });

  test('a record that the log refuses is an error of that frame, and takes no neighbour with it', async () => {
    const { wrap, state } = failing();
    await withEdge({ wrap }, async (edge) => {
      const large = await sharp(picture('coffee')).jpeg().toBuffer();
      state.refuses = (size) => size > large.length;
      const clients = await Promise.all(upTo(3).map((i) => streamClient(edge.url, { source: `s${i}`, policy: 'wait' })));
      await Promise.all(clients.map(async (client, c) => {
        for (const i of upTo(6)) await client.paced(i, c === 1 && i === 3 ? large : small);
        await answered(client, 6);
      }));
      const types = clients.map((client) => client.outcomes().map(({ type, code }) => code ?? type));
      assert.deepEqual(types[0], Array(6).fill('result'));
      assert.deepEqual(types[1], ['result', 'result', 'result', 'payload_too_large', 'result', 'result']);
      assert.deepEqual(types[2], Array(6).fill('result'));
      await Promise.all(clients.map((client) => client.close()));
    });
  });

  test('frames of many sockets leave together', async () => {
    const { wrap, state } = failing();
    await withEdge({ wrap, stream: { answerMs: 60_000 } }, async (edge) => {
      const clients = await Promise.all(upTo(20).map((i) => streamClient(edge.url, { source: `s${i}`, policy: 'wait' })));
      state.away = true;
      for (const client of clients) await client.paced(0, small);
      await eventually(() => state.requests.length > 1, 'a try');
      state.away = false;
      state.requests.length = 0;
      await Promise.all(clients.map((client) => answered(client, 1)));
      assert.ok(Math.max(...state.requests) >= 10, `${state.requests}`);
      await Promise.all(clients.map((client) => client.close()));
    });
  });
});

describe('what is not taken now', () => {
  test('while nothing is accepted, who waits is held and who is live drops; both go on afterwards', async () => {
    let why: string | null = 'infer is behind';
    await withEdge({ refusal: () => why }, async (edge) => {
      const patient = await streamClient(edge.url, { source: 'patient', policy: 'wait' });
      const live = await streamClient(edge.url, { source: 'live' });
      for (const i of upTo(8)) await patient.paced(i, small);
      for (const i of upTo(20)) await live.paced(i, small);
      await sleep(300);
      assert.equal(patient.credits(), 0);
      assert.equal(await framesIn(edge), 0);
      why = null;
      await answered(patient, 8);
      await answered(live, 20);
      assert.ok(patient.outcomes().every(({ type }) => type === 'result'));
      assert.deepEqual(live.outcomes().map(({ type }) => type), [...Array(18).fill('dropped'), 'result', 'result']);
      await Promise.all([patient.close(), live.close()]);
    });
  });

  test('a source above its quota: live frames are dropped with that reason, those that are waited for wait', () =>
    withEdge({ quota: { framesPerSecond: 1, burst: 5, calmMs: 1000 } }, async (edge) => {
      const live = await streamClient(edge.url, { source: 'quick' });
      const patient = await streamClient(edge.url, { source: 'thorough', policy: 'wait' });
      await Promise.all([
        // One after the other: it is never behind.
        (async () => {
          for (const i of upTo(40)) {
            await live.paced(i, small);
            await answered(live, i + 1);
          }
        })(),
        (async () => { for (const i of upTo(8)) await patient.paced(i, small); })(),
      ]);
      await Promise.all([answered(live, 40), answered(patient, 8)]);
      assert.ok(live.outcomes().some(({ reason }) => reason === 'quota'));
      assert.ok(live.outcomes().filter(({ type }) => type === 'result').length >= 5);
      assert.ok(patient.outcomes().every(({ type }) => type === 'result'));
      await Promise.all([live.close(), patient.close()]);
    }));

  test('more bytes than may be in hand: a live session drops, one that waits is not read from, and nothing is lost', async () => {
    const { wrap, state } = failing();
    // So large that no two of them come in one piece.
    const large = await sharp(picture('coffee')).resize(1500, 1000).jpeg({ quality: 95 }).toBuffer();
    assert.ok(large.length > 200_000);
    await withEdge({ wrap, stream: { totalBytes: 3 * large.length } }, async (edge) => {
      state.away = true;
      const patient = await Promise.all(upTo(4).map((i) => streamClient(edge.url, { source: `p${i}`, policy: 'wait' })));
      for (const client of patient) for (const i of upTo(8)) client.frame(i, large);
      const live = await streamClient(edge.url, { source: 'live' });
      for (const i of upTo(10)) await live.paced(i, large);
      await sleep(300);
      // One message of each socket may come on top of the limit: it was read already.
      assert.ok((await metric(edge, 'saccade_stream_in_hand_bytes')) <= (3 + 5) * large.length);
      assert.ok(live.outcomes().some(({ reason }) => reason === 'overloaded'));
      state.away = false;
      await Promise.all(patient.map((client) => answered(client, 8)));
      for (const client of patient) assert.deepEqual([sequences(client), client.closed()], [upTo(8), null]);
      await Promise.all([...patient, live].map((client) => client.close()));
    });
  });
});

describe('an answer that does not come in time', () => {
  for (const [policy, limit] of [['drop_oldest', { liveMs: 300 }], ['wait', { answerMs: 300 }]] as const) {
    test(`is told as an error of its number, and the stream goes on: ${policy}`, () =>
      withEdge({ stages: [], stream: limit }, async (edge) => {
        const client = await streamClient(edge.url, { source: 'gate', policy });
        for (const i of upTo(3)) {
          await client.paced(i, small);
          await answered(client, i + 1);
        }
        assert.deepEqual(client.outcomes().map(({ type, sequence, code }) => [type, sequence, code]), upTo(3).map((i) => ['error', i, 'deadline_exceeded']));
        assert.equal(await framesIn(edge), 3, 'each was accepted');
        await client.close();
      }));
  }
});

describe('the edge stops', () => {
  test('what is in the pipeline is still answered; the rest is told, goes on at another edge, and is stored once', async () => {
    const { wrap, state } = failing();
    const first = await startEdgeUnderTest({ wrap, drainMs: 5_000 });
    const client = await streamClient(first.url, { source: 'camera', policy: 'wait' });
    for (const i of upTo(5)) await client.paced(i, small);
    await answered(client, 3);
    // What comes now does not get out any more.
    state.away = true;
    for (const i of [5, 6]) await client.paced(i, small);
    // Sent again, the last is told to have arrived: before that the edge may end without having seen it.
    await client.paced(6, small);
    await eventually(() => client.outcomes().length >= 5 && client.told.some(({ type }) => type === 'duplicate'), 'what was sent');
    await first.close();
    await eventually(() => client.closed() !== null, 'the end');
    assert.equal(client.closed()!.code, 1001);
    const bye = client.told.at(-1)!;
    assert.deepEqual([bye.type, bye.unanswered], ['bye', [5, 6]]);

    await withEdge({}, async (second) => {
      const back = await streamClient(second.url, { source: 'camera', policy: 'wait', session: String(client.welcome().session), acknowledged: 4 });
      assert.deepEqual([back.welcome().resume, back.welcome().received], ['moved', 4]);
      for (const i of bye.unanswered as number[]) await back.paced(i, small);
      await answered(back, 2);
      assert.deepEqual(sequences(back), [5, 6]);
      await back.close();
    });
  });

  test('new sockets are refused, and one with nothing in the pipeline is let go at once', async () => {
    const edge = await startEdgeUnderTest({ stages: [], drainMs: 1_500, stream: { liveMs: 60_000 } });
    const waiting = await streamClient(edge.url, { source: 'a', policy: 'wait' });
    const idle = await streamClient(edge.url, { source: 'b' });
    await waiting.paced(0, small);
    await eventually(async () => (await framesIn(edge)) === 1, 'the frame in the log');
    const closing = edge.edge.close();
    await eventually(() => idle.closed() !== null, 'the idle one');
    assert.equal(waiting.closed(), null, 'its answer may still come');
    assert.deepEqual((await refusedUpgrade(`${edge.url}/v1/stream?source=c`)).code, 'not_ready');
    await closing;
    await eventually(() => waiting.closed() !== null, 'the end');
    assert.deepEqual([waiting.told.at(-1)!.type, waiting.told.at(-1)!.unanswered], ['bye', [0]]);
    await edge.close();
  });
});
