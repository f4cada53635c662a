import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Store } from '../connectors/ports.ts';
import { retentionOf } from '../processors/assembly/retention.ts';
import { readConfig } from '../processors/config.ts';
import { applyRetention, comparableDays, type Retention } from '../processors/sink/retention.ts';
import { alertColumns, alertsTable, windowColumns, windowsTable } from '../processors/sink/drift-rows.ts';
import { columns, table, type Row } from '../processors/sink/row.ts';
import { exampleRecord } from '../schemas/examples.ts';
import { predictionId } from '../schemas/ids.ts';
import type { Alert, DriftWindow } from '../schemas/records.ts';
import { prediction } from './contracts/store.ts';
import { embeddedStore } from './support/embedded-store.ts';

const day = 86_400_000;

/** By their names as settings: `{ rows: 30, tenants: 'acme=3' }`. */
function keeping({ rows = 0, embeddings = 0, rollups = 0, drift = 0, frames = 0, tenants = '' }): Retention {
  const env = { SACCADE_KEEP_DAYS: rows, SACCADE_KEEP_EMBEDDINGS_DAYS: embeddings, SACCADE_KEEP_ROLLUPS_DAYS: rollups, SACCADE_KEEP_DRIFT_DAYS: drift, SACCADE_KEEP_FRAMES_DAYS: frames, SACCADE_KEEP_TENANTS: tenants };
  return retentionOf(readConfig([], Object.fromEntries(Object.entries(env).map(([name, value]) => [name, `${value}`])), '/nonexistent').settings);
}

describe('retention', { timeout: 120_000 }, () => {
  let store: Store;
  embeddedStore('retention', (opened) => (store = opened));

  /** What it changed. */
  async function apply(days: Parameters<typeof keeping>[0]): Promise<number> {
    let changes = 0;
    await applyRetention({ ...store, command: (sql) => (changes++, store.command(sql)) }, keeping(days));
    return changes;
  }

  test('changes what differs and nothing else, from any setting to any other', async () => {
    assert.equal(await apply({ rows: 0, embeddings: 0, rollups: 0 }), 0, 'nothing expires by default');
    assert.equal(await apply({ rows: 30, embeddings: 7, rollups: 400 }), 5);
    assert.equal(await apply({ rows: 30, embeddings: 7, rollups: 400 }), 0);
    assert.equal(await apply({ rows: 31, embeddings: 7, rollups: 400 }), 1);
    assert.equal(await apply({ rows: 31, embeddings: 8, rollups: 400 }), 1);
    assert.equal(await apply({ rows: 0, embeddings: 0, rollups: 0 }), 5);
    assert.equal(await apply({ rows: 0, embeddings: 0, rollups: 0 }), 0);
    await store.migrate();
  });

  test('rows and not embeddings, before and after embeddings had a time of their own', async () => {
    assert.equal(await apply({ rows: 30 }), 1);
    assert.equal(await apply({ rows: 30 }), 0);
    assert.equal(await apply({ rows: 30, embeddings: 7 }), 1);
    assert.equal(await apply({ rows: 30 }), 1);
    assert.equal(await apply({ rows: 30 }), 0);
    assert.equal(await apply({ rows: 30, tenants: 'acme:embeddings=7' }), 1);
    assert.equal(await apply({ rows: 30 }), 1);
    assert.equal(await apply({}), 1);
  });

  test('rows, embeddings and counts go each in their time, whatever the clock of the camera says', async () => {
    await apply({ rows: 30, embeddings: 7, rollups: 60 });
    const now = Date.now();
    const aged = (days: number): Promise<void> =>
      store.inserter<Row>(table, [...columns, { name: 'inserted_at', type: "DateTime64(3, 'UTC')", of: () => now - days * day }])([
        { prediction: prediction({ source: `${days}`, accepted_at: 0 }), headers: {} },
      ]);
    for (const days of [0, 6, 8, 29, 31]) await aged(days);
    const buckets = [59, 61].map((days) => ({ bucket: Math.floor((now - days * day) / 1000), tenant: 't', source: `${days}`, model: 'm', status: 'ok', n: 1 }));
    for (const name of ['rollup_minutes', 'rollup_hours']) await store.insert(name, buckets);
    for (const name of [table, 'rollup_minutes', 'rollup_hours']) await store.command(`OPTIMIZE TABLE ${name} FINAL`);
    assert.deepEqual(await store.query('SELECT source, length(embedding) AS floats FROM predictions ORDER BY toUInt32(source)'), [
      { source: '0', floats: 3 },
      { source: '6', floats: 3 },
      { source: '8', floats: 0 },
      { source: '29', floats: 0 },
    ]);
    for (const name of ['rollup_minutes', 'rollup_hours']) assert.deepEqual(await store.query(`SELECT source FROM ${name}`), [{ source: '59' }]);
  });

  test('of a tenant that wants it otherwise, longer or shorter, by class', async () => {
    const tenants = 'acme=3,forever=0,acme:rollups=90';
    assert.equal(await apply({ rows: 30, rollups: 60, drift: 30, frames: 7, tenants }), 8);
    assert.equal(await apply({ rows: 30, rollups: 60, drift: 30, frames: 7, tenants }), 0, 'as it is in place already');
    const now = Date.now();
    const aged = (tenant: string, days: number): Promise<void> =>
      store.inserter<Row>(table, [...columns, { name: 'inserted_at', type: "DateTime64(3, 'UTC')", of: () => now - days * day }])([{ prediction: prediction({ tenant, source: `${tenant} ${days}` }), headers: {} }]);
    for (const [tenant, days] of [['acme', 2], ['acme', 4], ['other', 4], ['other', 31], ['forever', 900]] as const) await aged(tenant, days);
    const window = { ...(exampleRecord('drift-window') as unknown as DriftWindow), source: 'w' };
    await store.inserter<DriftWindow>(windowsTable, windowColumns)([['acme', 4], ['other', 4], ['other', 31]].map(([tenant, days], i) => ({ ...window, id: predictionId(`${i}`, 'w'), tenant: `${tenant}`, start: now - Number(days) * day - 1, end: now - Number(days) * day })));
    const alert = exampleRecord('alert') as unknown as Alert;
    await store.inserter<Alert>(alertsTable, alertColumns)([['acme', 4], ['other', 4], ['other', 31], ['firing', 31]].map(([tenant, days], i) => ({ ...alert, id: predictionId(`${i}`, 'a'), tenant: `${tenant}`, status: tenant === 'firing' ? 'firing' : 'resolved', changed_at: now - Number(days) * day })));
    const buckets = [['acme', 61], ['acme', 91], ['other', 61]].map(([tenant, days]) => ({ bucket: Math.floor((now - Number(days) * day) / 1000), tenant, source: `${tenant} ${days}`, model: 'm', status: 'ok', n: 1 }));
    await store.insert('rollup_hours', buckets);
    for (const name of [table, windowsTable, alertsTable, 'rollup_hours']) await store.command(`OPTIMIZE TABLE ${name} FINAL`);
    assert.deepEqual(await store.query(`SELECT source FROM ${table} WHERE position(source, ' ') > 0 ORDER BY source`), ['acme 2', 'forever 900', 'other 4'].map((source) => ({ source })));
    assert.deepEqual(await store.query(`SELECT tenant FROM ${windowsTable}`), [{ tenant: 'other' }]);
    assert.deepEqual(await store.query(`SELECT tenant FROM ${alertsTable} ORDER BY tenant`), [{ tenant: 'firing' }, { tenant: 'other' }], 'an alert that fires does not expire');
    assert.deepEqual(await store.query("SELECT source FROM rollup_hours WHERE tenant = 'acme'"), [{ source: 'acme 61' }]);
    assert.equal(await apply({}), 8);
  });

  test('rollups are compared with what has not expired', () => {
    assert.deepEqual([[0, 0], [30, 0], [0, 60], [30, 60], [60, 30]].map(([rows, rollups]) => comparableDays(keeping({ rows: rows!, rollups: rollups! })).usual), [0, 30, 60, 30, 30]);
    assert.deepEqual(comparableDays(keeping({ rows: 30, rollups: 60, tenants: 'acme=3,longer:rows=0,other:drift=1' })), { usual: 30, tenants: new Map([['acme', 3], ['longer', 60]]) });
  });
});
