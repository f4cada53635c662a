/** A store that had counted before 0040 and 0041. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMigrations } from '../connectors/clickhouse/migrations.ts';
import type { Store } from '../connectors/ports.ts';
import { embeddedStore } from './support/embedded-store.ts';
import { eventually } from './support/pipeline.ts';

let store: Store;
embeddedStore('pass_range', (opened) => (store = opened));

test('what earlier passes counted is found by their numbers too', { timeout: 60_000 }, async () => {
  await store.command('ALTER TABLE rollup_labels DROP INDEX pass_range');
  const counted = (label: string, pass: number) => ({ bucket: 0, tenant: 't', source: 's', model: 'm', label, n: 1, score_sum: 1, fingerprint: 1, pass });
  await store.insert('rollup_labels', [counted('cat', 1)]);
  const indexed = async (): Promise<number> => {
    const [row] = await store.query<{ bytes: number }>("SELECT sum(secondary_indices_compressed_bytes) AS bytes FROM system.parts WHERE table = 'rollup_labels' AND database = currentDatabase() AND active");
    return row!.bytes;
  };
  const statements = readMigrations().flatMap((migration) => migration.statements.map(({ sql }) => sql)).filter((sql) => sql.includes('pass_range'));
  const [add, ...rest] = statements;
  await store.command(add!);
  assert.equal(await indexed(), 0);
  for (const sql of rest) await store.command(sql);
  await eventually(async () => (await indexed()) > 0, 'the index has been made');
});
