import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient } from '@clickhouse/client';
import { migrate } from '../connectors/clickhouse/migrate.ts';
import { readMigrations } from '../connectors/clickhouse/migrations.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import type { Store } from '../connectors/ports.ts';
import { buildRollups } from '../processors/sink/rollups/build.ts';
import type { Prediction } from '../schemas/records.ts';
import { prediction } from './contracts/store.ts';
import { embeddedStore } from './support/embedded-store.ts';
import { storePredictions } from './support/rows.ts';

const day = 86_400_000;
const monday = Date.UTC(2025, 5, 2);
const at = (time: number, of: Partial<Prediction> = {}): Prediction => prediction({ captured_at: time, accepted_at: time + 5, completed_at: time + 50, ...of });

describe('rows by week', { timeout: 120_000 }, () => {
  let store: Store;
  let url: string;
  embeddedStore('by-week', (opened, where) => ([store, url] = [opened, where]));

  describe('a database of before', () => {
    const migrations = readMigrations();
    const older = migrations.filter(({ version }) => version < 9);
    const move = migrations.find(({ version }) => version === 9)!.statements;

    // Cut off after any of its statements, and never begun.
    for (let done = 0; done <= move.length; done++) {
      test(`keeps its rows, and those that come meanwhile, when the move was cut off after ${done} statements`, async (t) => {
        const database = `old_${done}`;
        const [admin, client] = [createClient({ url, database: 'default' }), createClient({ url, database })];
        const old = clickhouseStore({ url, kind: 'chdb', database });
        t.after(() => Promise.all([admin.close(), client.close(), old.close()]));
        await migrate(client, admin, database, { migrations: older });
        const known = new Set((await old.query<{ name: string }>(`SELECT name FROM system.columns WHERE database = '${database}' AND table = 'predictions_raw'`)).map(({ name }) => name));
        const put = (...predictions: Prediction[]): Promise<void> => storePredictions(old, predictions, {}, known);
        const p = at(monday);
        await put(p, at(monday + day), at(monday + 40 * day));
        await put({ ...p, status: 'dropped', stage: 'infer', reason: 'deadline' });
        for (const { sql } of move.slice(0, Math.min(done, move.length - 1))) await client.command({ query: sql });
        if (done === move.length) {
          // Between the two names, as a server that died there leaves it.
          await client.command({ query: 'RENAME TABLE predictions_raw TO predictions_by_week' });
        } else {
          await put(at(monday + 41 * day));
        }
        await Promise.all([old.migrate(), old.migrate(), old.migrate()]);
        await old.migrate();
        const expected = done === move.length ? 3 : 4;
        assert.deepEqual(await old.query('SELECT count() AS n, uniqExact(id) AS ids FROM predictions'), [{ n: expected, ids: expected }]);
        assert.deepEqual(await old.query(`SELECT name FROM system.tables WHERE database = '${database}' AND name LIKE 'predictions%' ORDER BY name`), [{ name: 'predictions' }, { name: 'predictions_raw' }]);
        const [made] = await old.query<{ key: string }>(`SELECT partition_key AS key FROM system.tables WHERE database = '${database}' AND name = 'predictions_raw'`);
        assert.match(made!.key, /toMonday\(accepted_at\)/);
      });
    }
  });

  describe('a question', () => {
    const weeks = 10;
    before(async () => {
      for (let week = 0; week < weeks; week++) await storePredictions(store, Array.from({ length: 20 }, (_, i) => at(monday + week * 7 * day + i * 60_000)));
    });
    after(() => store.command('TRUNCATE TABLE predictions_raw'));

    for (const column of ['accepted_at', 'captured_at']) {
      for (const view of ['predictions', 'detections', 'outcomes']) {
        test(`about a day of ${column} reads the rows of its week alone, from ${view}`, async () => {
          const rows = async (where: string): Promise<number> => (await store.query<{ rows: number }>(`EXPLAIN ESTIMATE SELECT * FROM ${view} WHERE ${where}`)).reduce((sum, part) => sum + part.rows, 0);
          assert.equal(await rows('1'), weeks * 20);
          assert.equal(await rows(`${column} >= '2025-06-16' AND ${column} < '2025-06-17'`), 20);
        });
      }
    }

    test('takes rows of any number of weeks in one insert', async () => {
      await storePredictions(store, Array.from({ length: 150 }, (_, i) => at(monday - i * 7 * day, { source: 'long ago' })));
      assert.deepEqual(await store.query("SELECT count() AS n FROM outcomes WHERE source = 'long ago'"), [{ n: 150 }]);
    });
  });

  describe('a request that was repeated in another week', () => {
    const pass = () => buildRollups(store, { until: monday + 100 * day, clock: { now: Date.now }, builder: 'test' });
    const seen = (from: number, to: number) =>
      store.query<{ version: string }>('SELECT version FROM predictions WHERE accepted_at >= fromUnixTimestamp64Milli({from:Int64}) AND accepted_at < fromUnixTimestamp64Milli({to:Int64})', { from, to });

    for (const first of ['earlier', 'later'] as const) {
      test(`is one row in every answer, and after a pass at one time only (the ${first} was stored first)`, async () => {
        await store.command('TRUNCATE TABLE predictions_raw');
        const p = at(monday);
        const again = { ...p, captured_at: monday + 14 * day, accepted_at: monday + 14 * day, completed_at: monday + 14 * day + 5, version: '2' };
        for (const one of first === 'earlier' ? [p, again] : [again, p]) {
          await storePredictions(store, [one]);
          await pass();
        }
        assert.equal((await seen(0, monday + 100 * day)).length, 1);
        assert.equal((await seen(monday, monday + day)).length + (await seen(monday + 14 * day, monday + 15 * day)).length, 1);
        assert.deepEqual(await store.query('SELECT count() AS n FROM predictions_raw'), [{ n: 1 }]);
        assert.deepEqual(await store.query('SELECT * FROM rollup_differences'), []);
        assert.deepEqual(await store.query('SELECT sum(n) AS n FROM outcomes_by_hour'), [{ n: 1 }]);
      });
    }

    test('is one row of one answer before any pass', async () => {
      await store.command('TRUNCATE TABLE predictions_raw');
      const p = at(monday);
      await storePredictions(store, [p]);
      await storePredictions(store, [{ ...p, accepted_at: monday + 30 * day }]);
      assert.deepEqual(await store.query('SELECT count() AS n, uniqExact(id) AS ids FROM outcomes'), [{ n: 1, ids: 1 }]);
      await pass();
    });

    test('leaves repeats with the same time, and the others of a large store, as they are', async () => {
      await store.command('TRUNCATE TABLE predictions_raw');
      const [p, q] = [at(monday), at(monday + day)];
      await storePredictions(store, [p, q]);
      await storePredictions(store, [{ ...p, status: 'dead_lettered', stage: 'infer', reason: 'x' }, { ...q, accepted_at: monday + 8 * day }]);
      await pass();
      assert.deepEqual(await store.query('SELECT status, accepted_at > fromUnixTimestamp64Milli({later:Int64}) AS moved FROM outcomes ORDER BY accepted_at', { later: monday + 7 * day }), [{ status: 'ok', moved: 0 }, { status: 'ok', moved: 1 }]);
    });
  });
});
