import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { SaccadeError } from '../connectors/errors.ts';
import { sqlDoor } from '../processors/assembly/sql-door.ts';
import { publicViews } from '../processors/sql/views.ts';
import { skipUnless } from './support/components.ts';
import { grafanaQueries } from './reference/grafana-queries.ts';
import { type PeopleSql, peopleSql, secret } from './support/people-sql.ts';

const go = spawnSync('go', ['version']).status === 0;

interface Found {
  readonly columns: readonly string[] | null;
  readonly rows: readonly (readonly string[])[] | null;
  readonly error: string;
}

describe("Grafana's ClickHouse plug-in, by its Go client over HTTP", { timeout: 580_000, skip: skipUnless(go, 'Go 1.26', 'a Go toolchain of your distribution or from its makers') }, () => {
  let people: PeopleSql;
  let app: FastifyInstance;
  let host: string;
  let probe: string;
  peopleSql('grafana', (made) => (people = made));
  before(async () => {
    app = sqlDoor({
      ask: people.ask,
      shown: 'saccade',
      authenticate: async ({ headers: { authorization } }) => {
        if (authorization !== 'Bearer key-of-mine') throw new SaccadeError('unauthenticated');
        return { id: 'grafana', tenant: 'mine', role: 'viewer', kind: 'key' };
      },
    });
    host = new URL(await app.listen({ host: '127.0.0.1', port: 0 })).host;
    probe = await builtProbe();
  });
  after(() => app?.close());

  /** The answers to queries in the order of these, one connection for all. */
  async function ask(queries: readonly string[], { compression = 'gzip', key = 'key-of-mine' } = {}): Promise<Found[]> {
    const child = spawn(probe, [host, key, compression], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(queries.map((query) => `${JSON.stringify(query)}\n`).join(''));
    const lines = (await text(child.stdout)).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Found);
  }

  for (const compression of ['gzip', 'lz4', 'none']) {
    test(`connects, pings and reads large answers (${compression})`, async () => {
      const [sums, rows, many] = await ask(
        ['SELECT sum(number) AS total, count() AS n FROM numbers(100000)', 'SELECT source, score, captured_at FROM predictions ORDER BY source', 'SELECT number, toString(number) AS text, toLowCardinality(toString(number % 7)) AS few FROM numbers(99999)'],
        { compression },
      );
      assert.deepEqual(sums!.rows, [['4999950000', '100000']]);
      assert.deepEqual(rows!.rows!.map(([source, score]) => [source, score]), [['camera', '0.75'], ['gate', '0.75']]);
      assert.match(rows!.rows![0]![2]!, /^2023-11-14 22:13:20\.123 \+0000 UTC/);
      assert.equal(many!.rows!.length, 99_999);
      assert.deepEqual(many!.rows!.at(-1), ['99998', '99998', '3']);
    });
  }

  test('answers the queries that the plug-in makes, within the tenant', async () => {
    const found = await ask(grafanaQueries);
    assert.equal(found.length, grafanaQueries.length);
    for (const [i, { error, rows }] of found.entries()) {
      assert.equal(error, '', grafanaQueries[i]);
      assert.ok(rows !== null, `${grafanaQueries[i]} has no rows`);
      assert.ok(!JSON.stringify(rows).includes(secret) && !JSON.stringify(rows).includes('_tenant_'), grafanaQueries[i]);
    }
  });

  test('answers what the dashboard asks', async () => {
    const dashboard = JSON.parse(readFileSync(new URL('../deploy/grafana/dashboard.json', import.meta.url), 'utf8')) as { panels: { targets: { rawSql: string }[] }[]; templating: { list: { query: string }[] } };
    const queries = [...dashboard.panels.flatMap(({ targets }) => targets.map(({ rawSql }) => rawSql)), ...dashboard.templating.list.map(({ query }) => query)].map(withMacros);
    const found = await ask(queries);
    assert.deepEqual(found.map(({ error }) => error), queries.map(() => ''));
    // What is stored is of 2023, was answered, and surely.
    assert.deepEqual(found.map(({ rows }) => (rows ?? []).length > 0), queries.map((query) => !/alerts|status != 'ok'|INTERVAL 7 DAY|BETWEEN/.test(query)));
  });

  test('gives every column of every view', async () => {
    const found = await ask(publicViews.map((view) => `SELECT * FROM saccade.${view} LIMIT 10`));
    assert.deepEqual(found.map(({ error }) => error), publicViews.map(() => ''));
    const answers = await Promise.all(publicViews.map((view) => people.answer(`SELECT * FROM ${view} LIMIT 10`, { format: 'JSONCompact' })));
    for (const [i, answer] of answers.entries()) {
      const { meta, data } = JSON.parse(answer) as { meta: { name: string; type: string }[]; data: unknown[] };
      // Without rows there is no block that could name them.
      assert.deepEqual(found[i]!.columns ?? [], data.length > 0 ? meta.map(({ name }) => name) : []);
      assert.equal(found[i]!.rows?.length ?? 0, data.length);
    }
  });

  test('gives values of all the types that a query may come to', async () => {
    const values: Readonly<Record<string, string>> = {
      "toDecimal64(1.5, 2)": '1.5', "toDecimal256(1, 2)": '1', "toFixedString('abc', 3)": 'abc', "toDate('2026-01-02')": '2026-01-02 00:00:00 +0000 UTC',
      "toDateTime(0)": '1970-01-01 00:00:00 +0000 UTC', "CAST('b,)' AS Enum8('a' = 1, 'b,)' = 2))": 'b,)', "toUUID('00000000-0000-0000-0000-000000000001')": '00000000-0000-0000-0000-000000000001',
      "toIPv4('1.2.3.4')": '1.2.3.4', "NULL": '<nil>', "toNullable('x')": 'x', "toLowCardinality(toNullable('y'))": 'y', "[toLowCardinality('a'), toLowCardinality('b')]": '[a b]', "[[1], [], [2, 3]]": '[[1] [] [2 3]]',
      "map('k', [toLowCardinality('v')])": 'map[k:[v]]', "(1, 'x')": '[1 x]', "true": 'true', "CAST([], 'Array(LowCardinality(String))')": '[]', "toFloat32(0.5)": '0.5',
    };
    const names = Object.keys(values);
    const columns = names.map((value, i) => `${value} AS c${i}`).join(', ');
    const [one, none, several] = await ask([`SELECT ${columns}`, `SELECT ${columns} WHERE 0`, `SELECT ${columns} FROM numbers(3)`]);
    assert.equal(one!.error, '');
    for (const [i, value] of names.entries()) assert.equal(one!.rows![0]![i]!, values[value], value);
    assert.deepEqual([none!.error, none!.rows], ['', null]);
    assert.deepEqual(several!.rows, [one!.rows![0], one!.rows![0], one!.rows![0]]);
  });

  test('says what went wrong by the code of ClickHouse', async () => {
    const refused = ['SELECT * FROM saccade.predictions_raw', "SELECT * FROM file('/etc/passwd')", 'SELECT nonsense FROM predictions', "SELECT 1 SETTINGS additional_table_filters = {'predictions': '1'}"];
    const found = await ask([...refused, "SELECT '{}'::JSON AS j"]);
    assert.deepEqual(found.map(({ error }) => Number(/code: (\d+)/i.exec(error)?.[1])), [497, 497, 47, 497, 48]);
    assert.match(found[4]!.error, /no JSON in the Native format/);
    // It cannot even connect.
    assert.deepEqual(await ask(['SELECT 1'], { key: 'anothers' }), []);
  });
});

/** As Grafana puts them in, for a day around the rows that are stored. */
function withMacros(sql: string): string {
  const [from, to] = ['toDateTime(1600000000)', 'toDateTime(1900000000)'];
  return sql
    .replaceAll(/\$__timeInterval\((\w+)\)/g, 'toStartOfInterval(toDateTime($1), INTERVAL 60 second)')
    .replaceAll(/\$__timeFilter\((\w+)\)/g, `$1 >= ${from} AND $1 <= ${to}`)
    .replaceAll('$__fromTime', from)
    .replaceAll('$__toTime', to)
    .replaceAll('${source:singlequote}', "'camera', 'gate'");
}

/** Built once, by the module's own checksums, in the user's caches. */
async function builtProbe(): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'saccade', 'clickhouse-go');
  mkdirSync(folder, { recursive: true });
  await promisify(execFile)('go', ['build', '-o', join(folder, 'probe'), '.'], { cwd: join(import.meta.dirname, 'support/clickhouse-go') });
  return join(folder, 'probe');
}
