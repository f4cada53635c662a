import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { memoryCache } from '../connectors/cache/memory.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import type { LogProducer, OutgoingRecord } from '../connectors/ports.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { gathering } from '../processors/edge/gathering.ts';
import { ownReplies } from '../processors/edge/own-replies.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import type { Prediction } from '../schemas/records.ts';
import { type EdgeUnderTest, picture, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually, readAll, topicSpec } from './support/pipeline.ts';

const record = (value: string | Buffer, topic = 't'): OutgoingRecord => ({ topic, partition: 0, key: null, value: Buffer.from(value) });

/** A producer of the in-process log whose sends leave when told to, in turn. */
async function gated() {
  const log = memoryLog();
  await log.ensureTopics([topicSpec('t', 1), topicSpec('predictions', 1), topicSpec('replies', 1)]);
  const inner = await log.producer();
  const gates: { open: (error?: Error) => void; readonly records: readonly OutgoingRecord[] }[] = [];
  const producer: LogProducer = {
    ...inner,
    send: (records) =>
      new Promise((resolve, reject) => {
        gates.push({ records, open: (error) => (error ? reject(error) : inner.send(records).then(resolve, reject)) });
      }),
  };
  const valuesOf = async (topic: string) => (await readAll(log, topic)).map(({ value }) => value!.toString());
  return { producer, gates, valuesOf };
}

describe('what comes while a send is on its way', () => {
  test('leaves together in the next one, in its order', async () => {
    const { producer, gates, valuesOf } = await gated();
    const together = gathering(producer);
    const sends = ['a', 'b', 'c', 'd'].map((value) => together.send([record(value), record(value.toUpperCase())]));
    assert.equal(gates.length, 1, 'one who comes alone does not wait');
    gates[0]!.open();
    await sends[0];
    await eventually(async () => gates.length === 2, 'a second send');
    assert.equal(gates[1]!.records.length, 6);
    gates[1]!.open();
    await Promise.all(sends);
    assert.deepEqual(await valuesOf('t'), ['a', 'A', 'b', 'B', 'c', 'C', 'd', 'D']);
  });

  test('is one batch of each topic for the broker: one send goes to one partition, the next to another', async () => {
    const { producer, gates } = await gated();
    const together = gathering(producer);
    const keyed = (topic: string, key: string): OutgoingRecord => ({ topic, key, value: Buffer.from(key) });
    const sends = ['a', 'b', 'c'].map((name) => together.send([keyed('t', name), keyed('predictions', `p${name}`)]));
    gates[0]!.open();
    await eventually(async () => gates.length === 2, 'a second send');
    gates[1]!.open();
    await Promise.all(sends);
    assert.deepEqual(gates.map(({ records }) => records.map(({ topic, key }) => `${topic} ${String(key)}`)), [['t a', 'predictions pa'], ['t b', 'predictions pb', 't b', 'predictions pb']]);
  });

  test('is refused for its size alone, and its neighbours leave', async () => {
    const { producer, gates, valuesOf } = await gated();
    const together = gathering(producer);
    const sends = [record('first'), record('before'), record(Buffer.alloc(2 * 1024 * 1024)), record('after')].map((one) => together.send([one]));
    const results = Promise.allSettled(sends);
    for (let opened = 0; opened < 5; opened++) {
      await eventually(async () => gates.length > opened, `send ${opened + 1}`);
      gates[opened]!.open();
    }
    assert.deepEqual((await results).map((result) => (result.status === 'fulfilled' ? 'sent' : (result.reason as SaccadeError).code)), ['sent', 'sent', 'payload_too_large', 'sent']);
    assert.deepEqual(await valuesOf('t'), ['first', 'before', 'after']);
  });

  test('fails with the log, and what comes later is sent', async () => {
    const { producer, gates, valuesOf } = await gated();
    const together = gathering(producer);
    const sends = ['a', 'b', 'c'].map((value) => together.send([record(value)]));
    const results = Promise.allSettled(sends);
    gates[0]!.open();
    await eventually(async () => gates.length === 2, 'a second send');
    gates[1]!.open(new SaccadeError('log_unavailable', 'away'));
    assert.deepEqual((await results).map(({ status }) => status), ['fulfilled', 'rejected', 'rejected']);
    const later = together.send([record('d')]);
    gates[2]!.open();
    await later;
    assert.deepEqual(await valuesOf('t'), ['a', 'd']);
  });
});

describe('while there is work ahead', () => {
  /** Sleeps until it is woken, or told to. */
  function company() {
    const state = { now: 0, ahead: 100, sleeps: [] as { readonly ms: number; readonly wake: () => void }[] };
    const sleep = (ms: number, signal?: AbortSignal) =>
      new Promise<void>((wake) => {
        state.sleeps.push({ ms, wake });
        signal?.addEventListener('abort', () => wake());
      });
    return { state, of: { clock: { now: () => state.now, sleep }, ahead: () => state.ahead, everyMs: 25 } };
  }

  test('a send waits for company until so long after the last one, which does not', async () => {
    const { producer, gates, valuesOf } = await gated();
    const { state, of } = company();
    const together = gathering(producer, of);
    const first = together.send([record('a')]);
    assert.equal(gates.length, 1, 'there was none before it');
    state.now = 10;
    gates[0]!.open();
    await first;
    const sends = [together.send([record('b')])];
    await eventually(async () => state.sleeps.length === 1, 'it waits');
    assert.equal(state.sleeps[0]!.ms, 15);
    sends.push(together.send([record('c')]));
    state.now = 25;
    state.sleeps[0]!.wake();
    await eventually(async () => gates.length === 2, 'a second send');
    gates[1]!.open();
    await Promise.all(sends);
    state.now = 60;
    const late = together.send([record('d')]);
    gates[2]!.open();
    await late;
    assert.deepEqual(await valuesOf('t'), ['a', 'b', 'c', 'd']);
    assert.equal(state.sleeps.length, 1, 'long after it');
  });

  test('it leaves as soon as it is as many as that, or that has become as few', async () => {
    const { producer, gates, valuesOf } = await gated();
    const { state, of } = company();
    state.ahead = 3;
    const together = gathering(producer, of);
    void together.send([record('a')]);
    gates[0]!.open();
    await eventually(async () => (await valuesOf('t')).length === 1, 'the first');
    const sends = [together.send([record('b'), record('c')])];
    await eventually(async () => state.sleeps.length === 1, 'it waits');
    together.progress();
    await Promise.resolve();
    assert.equal(gates.length, 1, 'two of three');
    sends.push(together.send([record('d')]));
    await eventually(async () => gates.length === 2, 'three of three');
    gates[1]!.open();
    await Promise.all(sends);
    sends.push(together.send([record('e')]));
    await eventually(async () => state.sleeps.length === 2, 'it waits again');
    state.ahead = 1;
    together.progress();
    await eventually(async () => gates.length === 3, 'one of one');
    gates[2]!.open();
    await Promise.all(sends);
    assert.deepEqual(await valuesOf('t'), ['a', 'b', 'c', 'd', 'e']);
  });

  test('what goes to topics that have none ahead waits behind nobody', async () => {
    const { producer, gates } = await gated();
    const { state, of } = company();
    const together = gathering(producer, { ...of, ahead: (topics) => (topics.includes('t') ? state.ahead : 0) });
    for (const [i, value] of ['a', 'b'].entries()) {
      const send = together.send([record(value, 'predictions')]);
      await eventually(async () => gates.length === i + 1 || state.sleeps.length > 0, 'it leaves');
      assert.equal(state.sleeps.length, 0);
      gates[i]!.open();
      await send;
    }
  });

  test('and when there is none, or the clock was set back, it does not wait, or not for longer', async () => {
    const { producer, gates } = await gated();
    const { state, of } = company();
    const together = gathering(producer, of);
    const sent = async (value: string): Promise<void> => {
      const send = together.send([record(value)]);
      gates.at(-1)!.open();
      await send;
    };
    state.now = 1_000_000;
    await sent('a');
    state.ahead = 0;
    await sent('b');
    assert.equal(state.sleeps.length, 0);
    state.ahead = 100;
    state.now = 0;
    void together.send([record('c')]);
    await eventually(async () => state.sleeps.length === 1, 'it waits');
    assert.equal(state.sleeps[0]!.ms, 25);
  });
});

describe('while the log is away', () => {
  test('who comes meanwhile fails with the send that is on its way, not after one of its own', async () => {
    const { producer, gates } = await gated();
    const together = gathering(producer);
    // The first alone, then two by size: three sends, if each were waited for.
    const results = Promise.allSettled([record('a'), record(Buffer.alloc(900_000)), record(Buffer.alloc(900_000))].map((one) => together.send([one])));
    gates[0]!.open(new SaccadeError('log_unavailable', 'away'));
    assert.deepEqual((await results).map(({ status }) => status), ['rejected', 'rejected', 'rejected']);
    assert.equal(gates.length, 1);
  });

  test('a topic that is held holds nothing up that goes elsewhere', async () => {
    const { producer, gates, valuesOf } = await gated();
    const together = gathering(producer);
    const held = together.send([record('held')]);
    const other = together.send([record('other', 'predictions')]);
    gates[1]!.open();
    await other;
    assert.deepEqual([await valuesOf('predictions'), await valuesOf('t')], [['other'], []]);
    gates[0]!.open();
    await held;
  });
});

describe('a reply to the edge of this process', () => {
  const reply = (key: string): OutgoingRecord => ({ topic: 'replies', partition: 0, key, value: Buffer.from('answer') });

  test('is handed over once its prediction is in the log, and not before', async () => {
    const { producer, gates, valuesOf } = await gated();
    const replies = ownReplies(producer);
    const received: string[] = [];
    replies.deliverTo({ awaits: ({ topic, key }) => topic === 'replies' && key === 'mine', receive: ({ key }) => void received.push(String(key)) });
    const batch = [record('prediction', 'predictions'), reply('mine'), reply('of another edge')];
    const failed = replies.producer.send(batch);
    gates[0]!.open(new SaccadeError('log_unavailable', 'away'));
    await assert.rejects(failed, { code: 'log_unavailable' });
    assert.deepEqual(received, []);
    const sent = replies.producer.send(batch);
    assert.deepEqual(received, []);
    gates[1]!.open();
    await sent;
    assert.deepEqual(received, ['mine']);
    assert.deepEqual([await valuesOf('predictions'), await valuesOf('replies')], [['prediction'], ['answer']]);
  });
});

interface Body {
  readonly id: string;
  readonly cached: boolean;
  readonly predictions: unknown;
}

const model = 'efficientnet-lite0';
/** Unlike any other, though it looks the same: decoders read no further than a JPEG's end. */
let others = 0;
const fresh = (): Buffer => Buffer.concat([picture('coffee'), Buffer.from(`other ${++others}`)]);

describe('an answer over HTTP', () => {
  const leaving = new Set<string>();
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest({ cache: memoryCache({ maxBytes: 16 * 1024 * 1024, clock: systemClock }), live: true, leaving });
  });
  after(() => edge.close());

  async function ask(image: Buffer, headers: Record<string, string> = {}): Promise<Body> {
    const response = await fetch(`${edge.url}/v1/infer?model=${model}`, raw(image, headers));
    const body = (await response.json()) as Body;
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  }

  /** Asks for a picture, and waits for its answer to be in the cache: it is kept a moment after it is given. */
  async function seenBefore(): Promise<{ readonly image: Buffer; readonly first: Body }> {
    const writes = async () => Number(/saccade_cache_writes_total\{[^}]*outcome="ok"\} (\d+)/.exec(await (await fetch(`${edge.url}/metrics`)).text())?.[1] ?? 0);
    const [image, earlier] = [fresh(), await writes()];
    const first = await ask(image);
    await eventually(async () => (await writes()) > earlier, 'the answer in the cache');
    return { image, first };
  }

  async function predictionsOf(...ids: readonly string[]): Promise<Prediction[]> {
    const registry = fileRegistry();
    const all = await Promise.all((await readAll(edge.log, 'predictions')).map(async ({ value }) => (await registry.decode('predictions', value!)) as Prediction));
    return all.filter(({ frame_id }) => ids.includes(frame_id));
  }

  test('does not go through the log and back when edge and stages are one process', async () => {
    const { id } = await ask(fresh());
    assert.equal((await predictionsOf(id)).length, 1);
    // What shows that the edge is in its place has no value.
    assert.equal((await readAll(edge.log, 'replies')).filter(({ value }) => value !== null).length, 0);
  });

  test('to a picture seen before is a record of its own in the log, and nothing else', async () => {
    const { image, first } = await seenBefore();
    const frames = async () => (await readAll(edge.log, 'frames')).length;
    const already = await frames();
    const second = await ask(image, { 'idempotency-key': 'k' });
    const repeat = await ask(image, { 'idempotency-key': 'k' });
    assert.deepEqual([first.cached, second.cached, repeat.cached], [false, true, true]);
    assert.deepEqual(second.predictions, first.predictions);
    assert.notEqual(second.id, first.id);
    assert.equal(repeat.id, second.id);
    assert.equal(await frames(), already);
    const [a, b, c] = await predictionsOf(first.id, second.id);
    const { id, frame_id, captured_at, accepted_at, completed_at, cached, timings_ms, request_id, picture: its } = b!;
    assert.deepEqual({ ...a, id, frame_id, captured_at, accepted_at, completed_at, cached, timings_ms, request_id, picture: its }, b);
    assert.deepEqual({ ...a!.picture, place: null }, its, 'no record of the log holds it');
    assert.equal(b!.embedding!.length, 1280 * 4);
    assert.deepEqual([c!.id, cached, Object.keys(timings_ms), request_id], [id, true, ['cache'], null]);
  });

  test('of a model that is being unloaded is none, though the picture was seen before', async () => {
    const { image } = await seenBefore();
    leaving.add(model);
    await problemOf(await fetch(`${edge.url}/v1/infer?model=${model}`, raw(image)), 409, 'model_unloading');
    leaving.delete(model);
    assert.equal((await ask(image)).cached, true);
  });

  test('to a picture seen before that nobody waits for is there to be asked for', async () => {
    const { image } = await seenBefore();
    const accepted = await fetch(`${edge.url}/v1/infer?model=${model}&wait=0`, raw(image));
    assert.equal(accepted.status, 202);
    const result = (await (await fetch(`${edge.url}${accepted.headers.get('location')}`)).json()) as { status: string; outcomes: { answer: Body }[] };
    assert.deepEqual([result.status, result.outcomes[0]!.answer.cached], ['done', true]);
  });

  test('to several pictures, some seen before, keeps their order', async () => {
    const { image } = await seenBefore();
    const form = new FormData();
    for (const bytes of [fresh(), image, Buffer.from('no picture'), image]) form.append('images', new Blob([new Uint8Array(bytes)], { type: 'image/jpeg' }), 'p.jpg');
    const { items } = (await (await fetch(`${edge.url}/v1/batch_infer?model=${model}`, { method: 'POST', body: form })).json()) as { items: { answer?: Body; error?: { code: string } }[] };
    assert.deepEqual(items.map(({ answer, error }) => answer?.cached ?? error?.code), [false, true, 'unsupported_media_type', true]);
  });

  test('to a picture seen before is shown on the page with its picture', async () => {
    const { image } = await seenBefore();
    const looking = new AbortController();
    assert.equal((await fetch(`${edge.url}/live/events`, { signal: looking.signal })).status, 200);
    const { id, cached } = await ask(image);
    assert.equal(cached, true);
    await eventually(async () => (await fetch(`${edge.url}/live/frames/${id}`)).status === 200, 'its picture');
    looking.abort();
  });
});
