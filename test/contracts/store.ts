/** What every Store must do, run against each implementation of the port. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readMigrations } from '../../connectors/clickhouse/migrations.ts';
import type { SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import { predictionId } from '../../schemas/ids.ts';
import type { Prediction, Status } from '../../schemas/records.ts';
import { columns, table } from '../../processors/sink/row.ts';
import { storePredictions } from '../support/rows.ts';

/** One place that holds data; `open` gives another connection to the same data. */
export interface StoreUnderTest {
  open(): Store;
  /** A connection to where nothing listens. */
  unreachable(): Store;
  close(): Promise<void>;
}

let frames = 0;
const uuid = (n: number): string => `00000000-0000-8000-8000-${n.toString(16).padStart(12, '0')}`;

/** A prediction of a frame of its own, with something in every field. */
export function prediction(overrides: Partial<Prediction> = {}): Prediction {
  const frame_id = overrides.frame_id ?? uuid(++frames);
  const model = overrides.model ?? 'nanodet';
  return {
    id: predictionId(frame_id, model),
    frame_id,
    tenant: 'default',
    source: 'camera',
    sequence: 7,
    captured_at: 1_700_000_000_123,
    accepted_at: 1_700_000_000_200,
    completed_at: 1_700_000_000_323,
    status: 'ok',
    stage: null,
    reason: null,
    detail: null,
    model,
    version: '1',
    fallback_for: null,
    task: 'detect',
    image_width: 640,
    image_height: 480,
    labels: [],
    detections: [
      { class_id: 2, label: 'cat', score: 0.25, x1: 1, y1: 2, x2: 3, y2: 4 },
      { class_id: 0, label: 'person', score: 0.75, x1: 10.5, y1: 20, x2: 30, y2: 40 },
    ],
    embedding: Buffer.from(new Float32Array([0.5, -1, 3.25]).buffer),
    quality: { luma: 100.5, contrast: 20, sharpness: 300, saturation: 0.5, entropy: 7 },
    timings_ms: { decode: 1.5, infer: 10 },
    request_id: null,
    cached: false,
    picture: { content_type: 'image/jpeg', size: 48_000, claim: null, place: { topic: 'frames', partition: 3, offset: 70_000 } },
    ...overrides,
  };
}

const ended = (status: Status, overrides: Partial<Prediction>): Prediction =>
  prediction({ status, stage: 'infer', reason: 'deadline', detections: [], embedding: null, version: null, task: null, ...overrides });

const code = (expected: SaccadeError['code']) => (error: unknown) => {
  assert.equal((error as SaccadeError).code, expected, String(error));
  return true;
};

export function storeContract(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`a store: ${name}`, () => {
    let place: StoreUnderTest;
    let store: Store;
    const put = (...predictions: Prediction[]): Promise<void> => storePredictions(store, predictions);
    const count = async (view: string, frame: string): Promise<number> => {
      const [row] = await store.query<{ n: number }>(`SELECT count() AS n FROM ${view} WHERE frame_id = {frame:UUID}`, { frame });
      return row!.n;
    };

    before(async () => {
      place = await make();
      store = place.open();
      // Many processes start at once on an empty server.
      const many = [place.open(), place.open(), place.open()];
      await Promise.all([store, ...many].map((s) => s.migrate()));
      await Promise.all(many.map((s) => s.close()));
    });
    after(async () => {
      await store?.close();
      await place?.close();
    });

    test('is migrated by many at once, and again, with one record of each step', async () => {
      await store.migrate();
      const steps = await store.query<{ version: number; n: number }>('SELECT version, count() AS n FROM migrations FINAL GROUP BY version ORDER BY version');
      const known = readMigrations();
      assert.ok(known.length >= 1);
      assert.deepEqual(
        steps.map((s) => [s.version, s.n]),
        known.map(({ version }) => [version, 1]),
      );
    });

    test('gives back what was inserted, in every view', async () => {
      const p = prediction({ labels: [], request_id: 'r-1', cached: true });
      await storePredictions(store, [p], { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
      const [row] = await store.query('SELECT * FROM predictions WHERE id = {id:UUID}', { id: p.id });
      assert.deepEqual(row, {
        id: p.id,
        frame_id: p.frame_id,
        tenant: 'default',
        source: 'camera',
        sequence: 7,
        captured_at: '2023-11-14T22:13:20.123Z',
        accepted_at: '2023-11-14T22:13:20.200Z',
        completed_at: '2023-11-14T22:13:20.323Z',
        latency_ms: 200,
        model: 'nanodet',
        version: '1',
        fallback_for: null,
        task: 'detect',
        label: 'person',
        score: 0.75,
        class_ids: [],
        labels: [],
        scores: [],
        boxes: 2,
        image_width: 640,
        image_height: 480,
        embedding: [0.5, -1, 3.25],
        luma: 100.5,
        contrast: 20,
        sharpness: 300,
        saturation: 0.5,
        entropy: 7,
        timings_ms: { decode: 1.5, infer: 10 },
        request_id: 'r-1',
        trace_id: '0af7651916cd43dd8448eb211c80319c',
        cached: true,
      });
      const boxes = await store.query<Record<string, unknown>>('SELECT * FROM detections WHERE prediction_id = {id:UUID} ORDER BY index', { id: p.id });
      assert.deepEqual(
        boxes.map((b) => [b.index, b.class_id, b.label, b.score, b.x1, b.y1, b.x2, b.y2]),
        [
          [1, 2, 'cat', 0.25, 1, 2, 3, 4],
          [2, 0, 'person', 0.75, 10.5, 20, 30, 40],
        ],
      );
      const [outcome] = await store.query('SELECT id, model, status, reason FROM outcomes WHERE frame_id = {f:UUID}', { f: p.frame_id });
      assert.deepEqual(outcome, { id: p.id, model: 'nanodet', status: 'ok', reason: null });
    });

    test('shows a repeat once in every public view, whatever else the repeat says', async () => {
      const p = prediction();
      await put(p, p);
      // An HTTP retry comes with a clock of its own, and may be answered by another version.
      await put({ ...p, captured_at: p.captured_at + 86_400_000, version: '2' });
      assert.deepEqual(await Promise.all(['predictions', 'detections', 'outcomes'].map((view) => count(view, p.frame_id))), [1, 2, 1]);
    });

    for (const order of ['ok first', 'ok last'] as const) {
      test(`lets a result win over a dead letter, and that over a drop (${order})`, async () => {
        const p = prediction();
        const all = [ended('dropped', { frame_id: p.frame_id }), ended('dead_lettered', { frame_id: p.frame_id }), p];
        const arriving = order === 'ok first' ? all.toReversed() : all;
        for (const one of arriving) await put(one);
        assert.equal(await count('predictions', p.frame_id), 1);
        const other = prediction();
        const lost = [ended('dropped', { frame_id: other.frame_id }), ended('dead_lettered', { frame_id: other.frame_id })];
        for (const one of order === 'ok first' ? lost.toReversed() : lost) await put(one);
        const outcomes = await store.query<{ status: string }>('SELECT status FROM outcomes WHERE frame_id IN ({a:UUID}, {b:UUID}) ORDER BY frame_id', {
          a: p.frame_id,
          b: other.frame_id,
        });
        assert.deepEqual(outcomes, [{ status: 'ok' }, { status: 'dead_lettered' }]);
        assert.deepEqual([await count('predictions', other.frame_id), await count('detections', other.frame_id)], [0, 0]);
      });
    }

    test('keeps two models of one frame apart', async () => {
      const p = prediction();
      await put(p, prediction({ frame_id: p.frame_id, model: 'efficientnet-lite0' }));
      assert.equal(await count('outcomes', p.frame_id), 2);
    });

    test('keeps nulls, and shows no label where there is none', async () => {
      const p = prediction({ sequence: null, image_width: null, image_height: null, quality: null, embedding: null, timings_ms: {}, detections: [] });
      await put(p);
      const [row] = await store.query(
        'SELECT sequence, image_width, luma, embedding, timings_ms, label, score, boxes, trace_id FROM predictions WHERE id = {id:UUID}',
        { id: p.id },
      );
      assert.deepEqual(row, { sequence: null, image_width: null, luma: null, embedding: [], timings_ms: {}, label: '', score: null, boxes: 0, trace_id: null });
    });

    test('keeps any text, and binds it as a parameter', async () => {
      const strange = `Tür 🦊 'quoted' "double" \\back\\ \t\n\r\b \u0000 {x:String} ; -- 漢字`;
      const p = prediction({ source: strange, status: 'dropped', detail: strange, timings_ms: { [strange]: 1 } });
      await put(p);
      const rows = await store.query('SELECT source, detail, timings_ms FROM outcomes JOIN predictions_raw USING (frame_id) WHERE outcomes.source = {s:String}', {
        s: strange,
      });
      assert.deepEqual(rows, [{ source: strange, detail: strange, timings_ms: { [strange]: 1 } }]);
    });

    test('binds parameters by type, and a later query does not see them', async () => {
      const params = { n: 3, list: ["it's", 'a\\b', 'c\td'], none: null, at: '2024-01-02 03:04:05' };
      const sql = 'SELECT {n:UInt8} + 1 AS n, {list:Array(String)} AS list, {none:Nullable(Int32)} AS none, {at:DateTime} AS at';
      assert.deepEqual(await store.query(sql, params), [{ n: 4, list: params.list, none: null, at: '2024-01-02T03:04:05Z' }]);
      await assert.rejects(store.query('SELECT {n:UInt8} AS n'), code('query_failed'));
    });

    test('keeps numbers that JSON cannot say', async () => {
      const p = prediction({ quality: { luma: NaN, contrast: Infinity, sharpness: -Infinity, saturation: null, entropy: null } });
      await put(p);
      const [row] = await store.query('SELECT isNaN(luma) AS a, contrast > 1e300 AS b, sharpness < -1e300 AS c FROM predictions WHERE id = {id:UUID}', { id: p.id });
      assert.deepEqual(row, { a: 1, b: 1, c: 1 });
    });

    test('answers 64-bit integers as numbers', async () => {
      assert.deepEqual(await store.query('SELECT toUInt64(5) AS a, toInt64(-9007199254740991) AS b'), [{ a: 5, b: -9007199254740991 }]);
    });

    test('takes 20,000 rows in one insert', async () => {
      const source = 'many';
      await put(...Array.from({ length: 20_000 }, () => prediction({ source })));
      assert.deepEqual(await store.query('SELECT count() AS n, uniqExact(id) AS ids FROM predictions WHERE source = {source:String}', { source }), [
        { n: 20_000, ids: 20_000 },
      ]);
    });

    test('stores all rows of an insert or none, and says that a row was at fault', async () => {
      const source = 'atomic';
      const many = Array.from({ length: 5_000 }, () => prediction({ source }));
      const json = many.map(({ id, frame_id, status }) => ({ id, frame_id, tenant: 'default', source, status, model: 'm', image_width: 1, 'labels.class_id': [1], 'labels.label': ['cat'], 'labels.score': [0.5] }));
      for (const bad of [{ id: 'no uuid' }, { status: 'perhaps' }, { id: null }, { image_width: -1e30 }, { 'labels.score': [1, 2] }])
        await assert.rejects(store.insert(table, [...json, { ...json[0], ...bad }]), code('rejected_by_store'), JSON.stringify(bad));
      // Refused by the store itself, after all the others were read.
      const texts = ['id', 'frame_id', 'source'].map((column) => ({ name: column, type: 'String', of: (row: Record<string, string>) => row[column] }));
      await assert.rejects(store.inserter(table, texts)([...many, { ...many[0], id: 'no uuid' }] as unknown as Record<string, string>[]), code('rejected_by_store'));
      assert.deepEqual(await store.query('SELECT count() AS n FROM outcomes WHERE source = {source:String}', { source }), [{ n: 0 }]);
    });

    test('refuses a value that does not fit its column by the name of the column, before anything is sent', async () => {
      const refusals: [object, RegExp][] = [
        [{ id: 'no uuid' }, /id \(UUID\): "no uuid"/],
        [{ frame_id: null }, /frame_id/],
        [{ status: 'perhaps' }, /status .*dropped, dead_lettered, ok/],
        [{ image_width: -1 }, /image_width .*4294967295/],
        [{ image_height: 1.5 }, /image_height/],
        [{ sequence: 2 ** 60 }, /sequence/],
        [{ captured_at: NaN }, /captured_at/],
        [{ source: 7 }, /source/],
        [{ detections: null }, /./],
        [{ labels: [{ class_id: 1, label: 'cat', score: 'high' }] }, /labels.score .*"high"/],
        [{ embedding: Buffer.alloc(5) }, /embedding .*5 bytes/],
        [{ timings_ms: { decode: 'long' } }, /timings_ms/],
      ];
      for (const [bad, message] of refusals) {
        await assert.rejects(put(prediction({ source: 'refused' }), prediction({ source: 'refused', ...bad })), (error: SaccadeError) => {
          assert.equal(error.code, 'rejected_by_store', JSON.stringify(bad));
          assert.match(error.message, message);
          return true;
        });
      }
      assert.deepEqual(await store.query("SELECT count() AS n FROM outcomes WHERE source = 'refused'"), [{ n: 0 }]);
    });

    test('keeps numbers at the ends of their ranges, and long texts and lists', async () => {
      const long = 'ä'.repeat(100_000);
      const p = prediction({
        sequence: Number.MIN_SAFE_INTEGER,
        image_width: 2 ** 32 - 1,
        captured_at: -1,
        detail: long,
        status: 'dead_lettered',
        detections: Array.from({ length: 300 }, (_, i) => ({ class_id: -(2 ** 31) + i, label: `l${i}`, score: 1e-30, x1: -0, y1: i, x2: i, y2: i })),
        embedding: Buffer.from(new Float32Array(70_000).fill(0.1).buffer),
      });
      await put(p);
      const [row] = await store.query(
        `SELECT sequence, image_width, captured_at, length(detections.score) AS boxes, detections.class_id[1] AS first, length(embedding) AS floats, arraySum(embedding) AS total
         FROM predictions_raw WHERE id = {id:UUID}`,
        { id: p.id },
      );
      assert.deepEqual({ ...row, total: Math.round((row as { total: number }).total) }, {
        sequence: Number.MIN_SAFE_INTEGER, image_width: 2 ** 32 - 1, captured_at: '1969-12-31T23:59:59.999Z', boxes: 300, first: -(2 ** 31), floats: 70_000, total: 7000,
      });
      assert.deepEqual(await store.query('SELECT lengthUTF8(detail) AS n FROM outcomes WHERE id = {id:UUID}', { id: p.id }), [{ n: 100_000 }]);
    });

    test('blames no row for a table or a column that is not there yet', async () => {
      await assert.rejects(store.insert('later', [{ id: 1 }]), code('store_unavailable'));
      await assert.rejects(store.insert(table, [{ source: 'x', later: 1 }]), code('store_unavailable'));
      const row = { prediction: prediction(), headers: {} };
      await assert.rejects(store.inserter('later', columns)([row]), code('store_unavailable'));
      await assert.rejects(store.inserter(table, [...columns, { name: 'later', type: 'UInt8', of: () => 1 }])([row]), code('store_unavailable'));
      assert.throws(() => store.inserter(table, [{ name: 'x', type: 'Decimal(9, 2)', of: () => 1 }]), code('invalid_config'));
    });

    test('takes no rows as done', async () => {
      await store.insert(table, []);
      await store.inserter(table, columns)([]);
    });

    test('says what ClickHouse says of a query it refuses, and answers the next one', async () => {
      await assert.rejects(store.query('SELECT nonsense FROM predictions'), (error: SaccadeError) => {
        assert.equal(error.code, 'query_failed');
        assert.match(error.message, /nonsense/);
        assert.match(error.message, /UNKNOWN_IDENTIFIER/);
        return true;
      });
      await assert.rejects(store.text('SELEC 1', 'CSV'), code('query_failed'));
      // An error that only comes in the midst of the answer.
      await assert.rejects(store.query('SELECT throwIf(number = 90000) AS x FROM numbers(100000)'), code('query_failed'));
      assert.deepEqual(await store.query('SELECT 1 AS one'), [{ one: 1 }]);
    });

    test('answers as text in the format asked for, unless the query names its own', async () => {
      assert.equal(await store.text('SELECT 1 AS a, \'x\' AS b', 'CSVWithNames'), '"a","b"\n1,"x"\n');
      assert.equal(await store.text('SELECT 1 AS a FORMAT JSONEachRow', 'CSV'), '{"a":1}\n');
    });

    test('serves many at once, each its own answer', async () => {
      const answers = await Promise.all(
        Array.from({ length: 60 }, async (_, i) => {
          if (i % 3 === 0) await put(prediction({ source: 'busy' }));
          return await store.query<{ n: number }>('SELECT {n:UInt32} AS n, sleep(0.001) AS s', { n: i });
        }),
      );
      assert.deepEqual(answers.map(([row]) => row?.n), Array.from({ length: 60 }, (_, i) => i));
      assert.deepEqual(await store.query("SELECT count() AS n FROM predictions WHERE source = 'busy'"), [{ n: 20 }]);
    });

    test('is unavailable, not wrong, where nothing listens', async () => {
      const nowhere = place.unreachable();
      await assert.rejects(nowhere.ping(), code('store_unavailable'));
      await assert.rejects(nowhere.insert(table, [{ id: 1 }]), code('store_unavailable'));
      await assert.rejects(nowhere.query('SELECT 1'), code('store_unavailable'));
      await assert.rejects(nowhere.migrate(), code('store_unavailable'));
      await nowhere.close();
      await store.ping();
    });
  });
}
