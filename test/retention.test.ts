import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Store } from '../connectors/ports.ts';
import { applyRetention, comparableDays, type Retention } from '../processors/sink/retention.ts';
import { columns, table, type Row } from '../processors/sink/row.ts';
import { prediction } from './contracts/store.ts';
import { embeddedStore } from './support/embedded-store.ts';

const day = 86_400_000;

describe('retention', { timeout: 120_000 }, () => {
  let store: Store;
  embeddedStore('retention', (opened) => (store = opened));

  /** What it changed. */
  async function apply(retention: Retention): Promise<number> {
    let changes = 0;
    await applyRetention({ ...store, command: (sql) => (changes++, store.command(sql)) }, retention);
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

  test('rollups are compared with what has not expired', () => {
    assert.deepEqual([[0, 0], [30, 0], [0, 60], [30, 60], [60, 30]].map(([rows, rollups]) => comparableDays({ rows: rows!, embeddings: 0, rollups: rollups! })), [0, 30, 60, 30, 30]);
  });
});
