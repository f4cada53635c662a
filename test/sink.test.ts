import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startChdb, type Chdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { SaccadeError } from '../connectors/errors.ts';
import type { Store } from '../connectors/ports.ts';
import { sinkConfig } from '../processors/sink/config.ts';
import { columns } from '../processors/sink/row.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { sinkStage } from '../processors/sink/sink.ts';
import type { Input, Outcome } from '../processors/stage.ts';
import type { Prediction } from '../schemas/records.ts';
import { prediction } from './contracts/store.ts';

const signal = new AbortController().signal;
const batch = sinkConfig.parse({});

const inputs = (predictions: readonly Prediction[], headers = {}): Input<Prediction>[] =>
  predictions.map((value, offset) => ({
    value,
    key: value.source,
    headers,
    origin: { cluster: 'c', topic: 'predictions', partition: 0, offset, timestamp: 0 },
    bytes: 100,
    receivedAt: 0,
    attempt: 1,
  }));

const many = (n: number, of: Partial<Prediction>): Prediction[] => Array.from({ length: n }, () => prediction(of));
const kinds = (outcomes: readonly Outcome[]): string[] => outcomes.map((o) => ('error' in o ? `${o.kind} ${o.error.code}` : o.kind));

describe('the sink', { timeout: 120_000 }, () => {
  let dataDir: string;
  let chdb: Chdb;
  let store: Store;
  const stored = async (source: string): Promise<unknown[]> =>
    store.query('SELECT frame_id, status FROM outcomes WHERE source = {source:String} ORDER BY frame_id', { source });

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'saccade-sink-'));
    chdb = await startChdb({ dataDir });
    store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
    await sinkStage({ store, clock: systemClock, batch }).start!();
  });
  after(async () => {
    await store?.close();
    await chdb?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  test('stores a batch in one insert, and emits nothing for each input', async () => {
    const predictions = [...many(500, { source: 'a' }), prediction({ source: 'a', status: 'dropped', stage: 'infer', reason: 'deadline' })];
    const earlier = await inserts();
    const outcomes = await sinkStage({ store, clock: systemClock, batch }).process(inputs(predictions), signal);
    assert.deepEqual(outcomes, predictions.map(() => ({ kind: 'emit', records: [] })));
    assert.deepEqual(await stored('a'), predictions.map(({ frame_id, status }) => ({ frame_id, status })));
    assert.equal((await inserts()) - earlier, 1);
  });

  async function inserts(): Promise<number> {
    const [row] = await store.query<{ n: number }>("SELECT sum(value) AS n FROM system.events WHERE event = 'InsertQuery'");
    return row!.n;
  }

  test('takes the trace id from the header', async () => {
    const p = prediction({ source: 'traced' });
    await sinkStage({ store, clock: systemClock, batch }).process(inputs([p], { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }), signal);
    assert.deepEqual(await store.query('SELECT trace_id FROM outcomes WHERE frame_id = {id:UUID}', { id: p.frame_id }), [
      { trace_id: '0af7651916cd43dd8448eb211c80319c' },
    ]);
  });

  test('rejects the culprits alone, wherever they stand, and stores their neighbours', async () => {
    const predictions = many(101, { source: 'b' });
    const culprits = [0, 50, 51, 100];
    for (const i of culprits) predictions[i] = { ...predictions[i]!, id: 'no uuid' };
    // Found before the store is asked.
    predictions[7] = { ...predictions[7]!, embedding: Buffer.alloc(5) };
    const outcomes = await sinkStage({ store, clock: systemClock, batch }).process(inputs(predictions), signal);
    assert.deepEqual(kinds(outcomes), predictions.map((_, i) => (i === 7 || culprits.includes(i) ? 'reject rejected_by_store' : 'emit')));
    const rows = (await stored('b')) as { status: string }[];
    assert.equal(rows.filter(({ status }) => status === 'ok').length, predictions.length - culprits.length - 1);
    // Whose identity fits is accounted for as refused; an id that is none cannot be.
    assert.deepEqual(await store.query("SELECT id, stage, reason FROM outcomes WHERE source = 'b' AND status = 'dead_lettered'"), [
      { id: predictions[7]!.id, stage: 'sink', reason: 'rejected_by_store' },
    ]);
  });

  test('stores a redelivered batch once', async () => {
    const batchOf = inputs(many(50, { source: 'c' }));
    const sink = sinkStage({ store, clock: systemClock, batch });
    await sink.process(batchOf, signal);
    await sink.process(batchOf, signal);
    assert.equal((await stored('c')).length, 50);
  });

  test('an insert whose acknowledgement is lost is repeated to the same rows', async () => {
    const batchOf = inputs(many(30, { source: 'lost-ack' }));
    let lost = false;
    const inserter: Store['inserter'] = (t, of) => {
      const insert = store.inserter(t, of);
      return async (rows) => {
        await insert(rows);
        if (lost) return;
        lost = true;
        throw new SaccadeError('store_unavailable', 'the answer was lost');
      };
    };
    const sink = sinkStage({ store: { ...store, inserter }, clock: systemClock, batch });
    assert.deepEqual(kinds(await sink.process(batchOf, signal)), batchOf.map(() => 'retry store_unavailable'));
    assert.equal((await stored('lost-ack')).length, 30, 'they are there, and nobody was told');
    assert.deepEqual(kinds(await sink.process(batchOf, signal)), batchOf.map(() => 'emit'));
    assert.equal((await stored('lost-ack')).length, 30);
  });

  test('has all retried when the store is away, says so, and stores them when it is back', async () => {
    const predictions = inputs(many(20, { source: 'd' }));
    const away = clickhouseStore({ url: 'http://127.0.0.1:9' });
    const sink = sinkStage({ store: { ...away, inserter: (t, of) => (rows) => (gone ? away : store).inserter(t, of)(rows) }, clock: systemClock, batch });
    let gone = true;
    assert.deepEqual(kinds(await sink.process(predictions, signal)), predictions.map(() => 'retry store_unavailable'));
    assert.match(sink.trouble!()!, /cannot be reached/);
    gone = false;
    assert.deepEqual(kinds(await sink.process(predictions, signal)), predictions.map(() => 'emit'));
    assert.equal(sink.trouble!(), null);
    await away.close();
  });

  test('asks nothing more of the store once it is told to stop', async () => {
    const outcomes = await sinkStage({ store, clock: systemClock, batch }).process(inputs(many(2, { source: 'e' })), AbortSignal.abort());
    assert.deepEqual(kinds(outcomes), ['retry store_unavailable', 'retry store_unavailable']);
    assert.deepEqual(await stored('e'), []);
  });

  test('answers an empty batch with nothing', async () => {
    assert.deepEqual(await sinkStage({ store, clock: systemClock, batch }).process([], signal), []);
  });
});

test('a row has a value for every field of the prediction', () => {
  const held = columns.map(({ name }) => name.split('.')[0]!.replace(/^(luma|contrast|sharpness|saturation|entropy)$/, 'quality').replace(/^(content_type|size|claim|log_\w+)$/, 'picture'));
  assert.deepEqual([...new Set(held)].filter((field) => field !== 'trace_id').sort(), Object.keys(prediction()).sort());
});

test('the sink refuses settings that make no batch', () => {
  assert.deepEqual(sinkConfig.parse({}), { records: 10_000, bytes: 16 * 1024 * 1024, waitMs: 200, steadyWaitMs: 1_000, quietMs: 250, concurrency: 2 });
  for (const wrong of [{ records: 0 }, { bytes: -1 }, { waitMs: 'soon' }, { steadyWaitMs: -1 }, { quietMs: -1 }, { concurrency: 1.5 }]) assert.equal(sinkConfig.safeParse(wrong).success, false);
});
