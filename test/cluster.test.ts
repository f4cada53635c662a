import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { onCluster } from '../connectors/clickhouse/cluster.ts';
import { readMigrations } from '../connectors/clickhouse/migrations.ts';
import type { Store } from '../connectors/ports.ts';
import { keepFirsts } from '../processors/sink/rollups/first-seen.ts';
import { replaceHours, replaceLabels, replaceMinutes } from '../processors/sink/rollups/statements.ts';
import { grantStatements } from '../processors/sql/grants.ts';
import { embeddedStore } from './support/embedded-store.ts';

const cluster = { name: 'all', database: 'saccade' };

describe('statements for a server that is not here', { timeout: 120_000 }, () => {
  let store: Store;
  embeddedStore('cluster', (opened) => (store = opened));

  /** As the engine reads it. Throws what it throws for what it cannot. */
  async function parsed(statement: string): Promise<string> {
    const [row] = await store.query<{ text: string }>(`SELECT formatQuerySingleLine(unhex('${Buffer.from(statement).toString('hex')}')) AS text`);
    return row!.text;
  }

  describe('the migrations on a cluster', () => {
    const statements = readMigrations().flatMap((migration) => migration.statements.map(({ sql }) => sql));

    test('every statement has its form, which ClickHouse can read, on the cluster', async () => {
      // One that only waits is the same everywhere.
      for (const statement of statements.filter((one) => !one.startsWith('SELECT sleep'))) {
        for (const form of onCluster(statement, cluster)) assert.match(`${await parsed(form)} `, form.startsWith('INSERT') ? /parallel_distributed_insert_select = 2/ : / ON CLUSTER (all|`all`) /, form);
      }
    });

    test('a table is replicated where it lies and distributed where it is asked; by its id, so that repeats meet', async () => {
      const [local, distributed] = await Promise.all(onCluster(statements.find((one) => one.startsWith('CREATE TABLE IF NOT EXISTS predictions_raw'))!, cluster).map(parsed));
      assert.match(local!, /^CREATE TABLE IF NOT EXISTS predictions_raw_local ON CLUSTER \S+ .*ENGINE = ReplicatedReplacingMergeTree\('\/clickhouse\/tables\/\{uuid\}\/\{shard\}', '\{replica\}', rank\) ORDER BY \(tenant, source, id\)/);
      assert.match(distributed!, /ENGINE = Distributed\(\S+, \S*saccade\S*, \S*predictions_raw_local\S*, cityHash64\(id\)\)/);
    });

    test('how long rows are kept is said to the stored table alone', () => {
      const forms = onCluster('ALTER TABLE predictions_raw MODIFY TTL toDateTime(inserted_at) + toIntervalDay(3)', cluster);
      assert.deepEqual(forms.map((form) => form.split(' ')[2]), ['predictions_raw_local']);
      assert.equal(onCluster('ALTER TABLE alerts_raw MODIFY SETTING min_age_to_force_merge_seconds = 3600', cluster).length, 1);
    });

    test('a statement of a kind that is not known is an error, not left out', () => assert.throws(() => onCluster('OPTIMIZE TABLE a', cluster), { code: 'invalid_config' }));
  });

  test('what the rollups insert finds its shard by its own key, not by where it was read', async () => {
    const statements = [replaceMinutes, replaceHours, replaceLabels].map((replace) => replace([0], { usual: 0, tenants: new Map([['acme', 3600]]) }));
    // Classes are new, and others have left.
    await keepFirsts({ query: async () => [{ pass: 0, n: 1 }] as never, command: async (sql) => void statements.push(sql), insert: async () => {} }, 1);
    assert.equal(statements.length, 5);
    for (const statement of statements) assert.match(await parsed(statement), /^INSERT INTO .* SETTINGS .*parallel_distributed_insert_select = 0/);
  });

  test('the grants of a read-only user: a role for each tenant, and a row policy on every table that holds rows of tenants', async () => {
    const statements = grantStatements({ shown: 'saccade', user: 'saccade_sql', tenants: ['acme', "o'neil.x"] });
    const texts: string[] = [];
    for (const statement of statements) texts.push(await parsed(statement));
    for (const { name } of await store.query<{ name: string }>("SELECT DISTINCT table AS name FROM system.columns WHERE database = 'saccade' AND name = 'tenant' AND table NOT IN (SELECT name FROM system.tables WHERE database = 'saccade' AND engine = 'View')")) {
      const policy = new RegExp(`^CREATE ROW POLICY .* ON saccade\\.${name} FOR SELECT USING tenant = 'acme' TO saccade_tenant_acme_reader$`);
      assert.ok(texts.some((text) => policy.test(text)), name);
    }
    assert.ok(texts.some((text) => text === 'SET DEFAULT ROLE NONE TO saccade_sql'));
    for (const statement of grantStatements({ shown: 'saccade', user: 'saccade_sql', tenants: ['acme'], cluster: 'all' })) await parsed(statement);
  });
});
