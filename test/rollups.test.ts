/** The rollups say what `outcomes` says, whatever came late, twice, replayed, moved or cut off. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { SaccadeError } from '../connectors/errors.ts';
import type { Clock, Store } from '../connectors/ports.ts';
import { buildRollups } from '../processors/sink/rollups/build.ts';
import { keepRollups } from '../processors/sink/rollups/keep.ts';
import type { Prediction } from '../schemas/records.ts';
import { prediction } from './contracts/store.ts';
import { embeddedStore } from './support/embedded-store.ts';
import { storePredictions } from './support/rows.ts';

const minute = 60_000;
const hour = 60 * minute;
const noon = Date.UTC(2025, 5, 1, 12);

describe('rollups', { timeout: 300_000 }, () => {
  let store: Store;
  embeddedStore('rollups', (opened) => (store = opened));
  beforeEach(async () => {
    for (const name of ['predictions_raw', 'rollup_minutes', 'rollup_hours', 'rollup_labels', 'rollup_firsts', 'rollup_passes']) await store.command(`TRUNCATE TABLE ${name}`);
  });

  const at = (offset: number, of: Partial<Prediction> = {}): Prediction =>
    prediction({ captured_at: noon + offset - 100, accepted_at: noon + offset, completed_at: noon + offset + 50, ...of });
  const put = (...predictions: Prediction[]): Promise<void> => storePredictions(store, predictions);
  const pass = (until = noon + 3 * hour, through: Pick<Store, 'query' | 'command' | 'insert'> = store) =>
    buildRollups(through, { until, clock: { now: () => noon + 3 * hour }, builder: 'test' });
  const differences = () => store.query('SELECT * FROM rollup_differences');
  const minutes = () => store.query("SELECT toUnixTimestamp(bucket) * 1000 - {noon:Int64} AS at, status, n FROM outcomes_by_minute ORDER BY bucket, status", { noon });
  const hours = () => store.query("SELECT toUnixTimestamp(bucket) * 1000 - {noon:Int64} AS at, status, n FROM outcomes_by_hour ORDER BY bucket, status", { noon });

  async function equal(): Promise<void> {
    assert.deepEqual(await differences(), []);
    // Not by the view that is under test alone.
    const [sum] = await store.query<{ rollup: number; outcomes: number }>(
      'SELECT (SELECT sum(n) FROM outcomes_by_minute) AS rollup, (SELECT count() FROM outcomes WHERE accepted_at < (SELECT until FROM rollup_state)) AS outcomes',
    );
    assert.equal(sum!.rollup, sum!.outcomes);
    assert.deepEqual(
      await store.query('SELECT source, model, label, sum(n) AS n FROM labels_by_hour GROUP BY ALL HAVING n > 0 ORDER BY ALL'),
      await store.query(`SELECT source, model, label, count() AS n FROM
        (SELECT source, model, accepted_at, label FROM detections UNION ALL SELECT source, model, accepted_at, label FROM predictions WHERE notEmpty(labels))
        WHERE toStartOfHour(accepted_at) < (SELECT toStartOfHour(until) FROM rollup_state) GROUP BY ALL ORDER BY ALL`),
    );
    assert.deepEqual(
      await store.query('SELECT tenant, source, model, label, first_seen FROM labels_first_seen ORDER BY ALL'),
      await store.query('SELECT tenant, source, model, label, min(bucket) AS first_seen FROM labels_by_hour GROUP BY ALL ORDER BY ALL'),
    );
  }

  test('count by minute and by hour, with what a chart needs', async () => {
    await put(
      at(0),
      at(59_999, { completed_at: noon + 59_999 + 900 }),
      at(minute, { status: 'dropped', stage: 'infer', reason: 'deadline', detections: [], version: null }),
      at(hour, { detections: [{ class_id: 1, label: 'cat', score: 0.25, x1: 0, y1: 0, x2: 1, y2: 1 }] }),
    );
    await pass();
    assert.deepEqual(await minutes(), [{ at: 0, status: 'ok', n: 2 }, { at: minute, status: 'dropped', n: 1 }, { at: hour, status: 'ok', n: 1 }]);
    assert.deepEqual(await hours(), [{ at: 0, status: 'dropped', n: 1 }, { at: 0, status: 'ok', n: 2 }, { at: hour, status: 'ok', n: 1 }]);
    const [first] = await store.query<Record<string, unknown>>("SELECT * FROM outcomes_by_hour WHERE status = 'ok' ORDER BY bucket LIMIT 1");
    const { latency_ms_p50_p95_p99: quantiles, latency_bins: _, ...rest } = first as { latency_ms_p50_p95_p99: number[]; latency_bins: unknown };
    assert.deepEqual(rest, {
      bucket: '2025-06-01T12:00:00Z', tenant: 'default', source: 'camera', model: 'nanodet', version: '1', status: 'ok', stage: null, reason: null,
      n: 2, latency_ms_mean: 575, latency_ms_sum: 1150, score_mean: 0.75, scored: 2, score_sum: 1.5, boxes: 4,
    });
    for (const [i, ms] of [150, 1000, 1000].entries()) assert.ok(Math.abs(quantiles[i]! / ms - 1) < 0.06, `${quantiles}`);
    await equal();
  });

  test('show only what is closed', async () => {
    await put(at(0), at(minute), at(hour));
    await pass(noon + minute + 30_000);
    assert.deepEqual([await minutes(), await hours()], [[{ at: 0, status: 'ok', n: 1 }], []]);
    await pass(noon + hour);
    assert.deepEqual([(await minutes()).length, await hours()], [2, [{ at: 0, status: 'ok', n: 2 }]]);
    await equal();
  });

  test('count a repeat once, before and after the pass', async () => {
    const p = at(0);
    await put(p, p);
    await pass();
    await put(p);
    await pass();
    assert.deepEqual(await minutes(), [{ at: 0, status: 'ok', n: 1 }]);
    await equal();
  });

  test('take late rows in, however late, and say of a pass with nothing to do that it did nothing', async () => {
    await put(at(0), at(hour));
    assert.equal((await pass()).hoursRebuilt, 2);
    await put(at(1));
    assert.equal((await differences()).length, 2, 'the views of a stale bucket differ until a pass: else this test proves nothing');
    assert.equal((await pass()).hoursRebuilt, 1);
    await equal();
    assert.equal((await pass()).hoursRebuilt, 0);
  });

  test('move a dead letter that was answered after all to its new status', async () => {
    const p = at(0);
    await put({ ...p, status: 'dead_lettered', stage: 'infer', reason: 'inference_failed', version: null, detections: [] }, at(1));
    await pass();
    assert.deepEqual((await minutes()).map((row) => Object.values(row)), [[0, 'dead_lettered', 1], [0, 'ok', 1]]);
    await put(p);
    await pass();
    assert.deepEqual([await minutes(), await hours()], [[{ at: 0, status: 'ok', n: 2 }], [{ at: 0, status: 'ok', n: 2 }]]);
    await equal();
  });

  for (const merged of [false, true]) {
    test(`take a row out of its bucket when a repeat has another time, though the old row ${merged ? 'is merged away' : 'still lies there'}`, async () => {
      const p = at(2 * hour);
      await put(p);
      await pass();
      await put({ ...p, accepted_at: noon });
      if (merged) await store.command('OPTIMIZE TABLE predictions_raw FINAL');
      await pass();
      assert.deepEqual([await minutes(), await hours()], [[{ at: 0, status: 'ok', n: 1 }], [{ at: 0, status: 'ok', n: 1 }]]);
      await equal();
    });
  }

  test('drop the loser of a repeat that only sinks of an older version have passed by', async () => {
    const older: Pick<Store, 'query' | 'command' | 'insert'> = {
      ...store,
      command: async (sql, params) => (/rollup_firsts|^DELETE/.test(sql) ? undefined : store.command(sql, params)),
      insert: async (table, rows) => (table === 'rollup_firsts' ? undefined : store.insert(table, rows)),
    };
    // Rows are stored now, whatever their own times say.
    const passAt = (offset: number, through = older) => buildRollups(through, { until: noon + 3 * hour, clock: { now: () => Date.now() + offset }, builder: 'test' });
    const p = prediction({ accepted_at: noon - 14 * 24 * hour, captured_at: noon, completed_at: noon });
    await put(p);
    await passAt(-hour, store);
    await put({ ...p, accepted_at: noon });
    await passAt(hour);
    await passAt(2 * hour);
    assert.deepEqual(await store.query('SELECT count() AS n FROM predictions_raw'), [{ n: 2 }]);
    await passAt(3 * hour, store);
    assert.deepEqual(await store.query('SELECT toUnixTimestamp64Milli(accepted_at) AS at FROM predictions_raw'), [{ at: noon }]);
  });

  test('stand for what nonsense clocks say', async () => {
    await put(at(0, { accepted_at: -5 * 365 * 24 * hour }), at(0, { accepted_at: Date.UTC(2250, 0) }), at(0));
    await pass();
    assert.deepEqual((await minutes()).map((row) => row.n), [1, 1]);
    await equal();
  });

  test('are right after a pass that was cut off at any step', async () => {
    // The pass begins, what is known and stale, its counts, the firsts and how far they go, the end.
    const steps = ['query', 'insert', 'query', 'query', 'command', 'command', 'command', 'query', 'command', 'query', 'insert', 'insert'].length;
    const p = at(0);
    await put({ ...p, status: 'dropped', stage: 'infer', reason: 'deadline' });
    await pass();
    await put(p);
    for (let allowed = 0; allowed < steps; allowed++) {
      let done = 0;
      await put(at(allowed * 1_000), at(hour + allowed));
      const step = <A extends unknown[], R>(call: (...args: A) => R) => (...args: A): R => {
        if (done++ >= allowed) throw new SaccadeError('store_unavailable', 'killed');
        return call(...args);
      };
      const dying = { query: step(store.query), command: step(store.command), insert: step(store.insert) } as Store;
      await assert.rejects(pass(noon + 3 * hour, dying), /killed/);
      await pass();
      await equal();
    }
    assert.equal((await minutes()).reduce((sum, row) => sum + Number(row.n), 0), 1 + 2 * steps);
  });

  test('go no further while a pass is under way, or was killed in it', async () => {
    await put(at(0));
    await pass(noon + minute);
    await put(at(minute));
    const dying = { ...store, command: async () => Promise.reject(new SaccadeError('store_unavailable', 'killed')) };
    await assert.rejects(pass(noon + 3 * hour, dying), /killed/);
    const [state] = await store.query<{ until: number }>('SELECT toUnixTimestamp(until) * 1000 AS until FROM rollup_state');
    assert.equal(Number(state!.until), noon + minute);
    await equal();
  });

  test('agree after many passes at once, while rows come and go over', async () => {
    const predictions = Array.from({ length: 200 }, (_, i) => at(i * minute));
    await put(...predictions.map((p): Prediction => ({ ...p, status: 'dropped', stage: 'infer', reason: 'deadline' })));
    await Promise.all([pass(), put(...predictions.slice(0, 100)), pass(), put(...predictions.map((p) => ({ ...p, accepted_at: p.accepted_at + minute }))), pass()]);
    await pass();
    await equal();
    assert.equal((await hours()).reduce((sum, row) => sum + Number(row.n), 0), 179, 'of whole hours: one moved out of the third');
  });

  describe('when a class was first seen', () => {
    const firsts = () => store.query("SELECT label, (toUnixTimestamp(first_seen) * 1000 - {noon:Int64}) / {hour:Int64} AS hours FROM labels_first_seen ORDER BY label", { noon, hour });
    const seeing = (label: string) => ({ detections: [{ class_id: 1, label, score: 0.5, x1: 0, y1: 0, x2: 1, y2: 1 }] });
    const later = (after: number, through: Pick<Store, 'query' | 'command' | 'insert'> = store) =>
      buildRollups(through, { until: noon + 3 * hour, clock: { now: () => noon + after * hour }, builder: 'test' });

    test('is the earliest hour of what came in any order', async () => {
      await put(at(2 * hour, seeing('cat')), at(hour, seeing('dog')));
      await later(3);
      assert.deepEqual(await firsts(), [{ label: 'cat', hours: 2 }, { label: 'dog', hours: 1 }]);
      await put(at(0, seeing('cat')), at(2 * hour, seeing('dog')));
      await later(10);
      assert.deepEqual(await firsts(), [{ label: 'cat', hours: 0 }, { label: 'dog', hours: 1 }]);
      await equal();
    });

    test('moves on when the rows of that hour have left, and goes with the last', async () => {
      const [p, q] = [at(0, seeing('cat')), at(2 * hour, seeing('cat'))];
      await put(p, q);
      await later(3);
      await put({ ...p, ...seeing('dog') });
      await later(10);
      assert.deepEqual(await firsts(), [{ label: 'cat', hours: 2 }, { label: 'dog', hours: 0 }]);
      await put({ ...q, detections: [] });
      await later(20);
      assert.deepEqual(await firsts(), [{ label: 'dog', hours: 0 }]);
      await put(q);
      await later(30);
      assert.deepEqual(await firsts(), [{ label: 'cat', hours: 2 }, { label: 'dog', hours: 0 }]);
      await equal();
    });

    test('takes in what sinks of an older version have counted, and all there is where nothing was kept', async () => {
      const older: Pick<Store, 'query' | 'command' | 'insert'> = {
        ...store,
        command: async (sql, params) => (sql.includes('INTO rollup_firsts') ? undefined : store.command(sql, params)),
        insert: async (table, rows) => (table === 'rollup_firsts' ? undefined : store.insert(table, rows)),
      };
      await put(at(2 * hour, seeing('cat')));
      await later(3, older);
      assert.deepEqual(await firsts(), []);
      await later(4);
      assert.deepEqual(await firsts(), [{ label: 'cat', hours: 2 }]);
      await put(at(hour, seeing('cat')));
      await later(5, older);
      await later(50, older);
      await later(100);
      assert.deepEqual(await firsts(), [{ label: 'cat', hours: 1 }]);
      await store.command('TRUNCATE TABLE rollup_firsts');
      await later(200);
      await equal();
    });
  });

  test('leave alone what is older than `since`: its rows may have expired', async () => {
    await put(at(0), at(hour));
    await pass();
    await store.command("ALTER TABLE predictions_raw DELETE WHERE accepted_at < toDateTime64('2025-06-01 13:00:00', 3, 'UTC') SETTINGS mutations_sync = 1");
    await buildRollups(store, { until: noon + 3 * hour, since: noon + 30 * minute, clock: { now: () => noon + 3 * hour }, builder: 'test' });
    assert.equal((await minutes()).length, 2);
    assert.deepEqual(await differences(), []);
  });

  test('leave alone what is older of a tenant whose rows expire sooner, and count what comes late of the others', async () => {
    await put(at(0), at(0, { tenant: 'acme' }), at(hour, { tenant: 'acme' }));
    await pass();
    await store.command("ALTER TABLE predictions_raw DELETE WHERE tenant = 'acme' AND accepted_at < toDateTime64('2025-06-01 13:00:00', 3, 'UTC') SETTINGS mutations_sync = 1");
    await put(at(1), at(hour + 1, { tenant: 'acme' }));
    await buildRollups(store, { until: noon + 3 * hour, sinceOf: new Map([['acme', noon + 30 * minute]]), clock: { now: () => noon + 3 * hour }, builder: 'test' });
    const counted = 'SELECT tenant, (toUnixTimestamp(bucket) * 1000 - {noon:Int64}) / {hour:Int64} AS hours, sum(n) AS n';
    const expected = [{ tenant: 'acme', hours: 0, n: 1 }, { tenant: 'acme', hours: 1, n: 2 }, { tenant: prediction().tenant, hours: 0, n: 2 }];
    assert.deepEqual(await store.query(`${counted} FROM outcomes_by_hour GROUP BY ALL ORDER BY ALL`, { noon, hour }), expected);
    assert.deepEqual(await store.query(`${counted} FROM rollup_labels FINAL WHERE label = '' GROUP BY ALL ORDER BY ALL`, { noon, hour }), expected);
    assert.deepEqual(await differences(), [], 'from rollup_state.since on');
  });

  test('a clock that was set back does not let old counts win', async () => {
    await put(at(0));
    await pass();
    await put(at(1));
    await buildRollups(store, { until: noon + 3 * hour, clock: { now: () => 0 }, builder: 'test' });
    assert.deepEqual(await minutes(), [{ at: 0, status: 'ok', n: 2 }]);
  });

  test('are kept by one of several sinks each minute, and by another when it dies', async () => {
    let now = noon + 30_000;
    const turns: (() => void)[] = [];
    const stop = new AbortController();
    const clock: Clock = {
      now: () => now,
      sleep: (_ms, signal) => new Promise((resolve) => (turns.push(resolve), signal?.addEventListener('abort', () => resolve()))),
    };
    const warnings: string[] = [];
    const log = { debug: () => {}, warn: (_: object, message: string) => void warnings.push(message) };
    const dying = { ...store, command: async () => Promise.reject(new SaccadeError('store_unavailable', 'killed')) };
    const passes = async () => (await store.query<{ b: string }>('SELECT builder AS b FROM rollup_passes WHERE finished_at IS NOT NULL ORDER BY pass')).map(({ b }) => b);
    const until = async (met: () => boolean): Promise<void> => {
      while (!met()) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const loop = (builder: string, of: Pick<Store, 'query' | 'command' | 'insert'>) => keepRollups({ store: of, clock, kept: { usual: 0, tenants: new Map() }, builder, signal: stop.signal, log });
    /** Lets the loop whose turn it is run to its next sleep. */
    const turn = async (index: number): Promise<void> => {
      const [resume] = turns.splice(index, 1);
      resume!();
      await until(() => turns.length === 2);
    };
    const loops = [loop('a', dying), loop('b', store)];
    await until(() => turns.length === 2);
    await put(at(0));
    now = noon + minute + 6_000;
    await turn(0); // a begins and dies
    assert.deepEqual([warnings.length, await passes()], [1, []]);
    await turn(0); // b leaves the minute to a, which might be at it
    assert.deepEqual(await passes(), []);
    now += 4 * minute;
    await turn(1); // b
    assert.deepEqual(await passes(), ['b']);
    await turn(0); // a finds it done
    assert.deepEqual(await passes(), ['b']);
    await equal();
    stop.abort();
    await Promise.all(loops);
  });
});
