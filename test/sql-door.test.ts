import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type ClickHouseClient, createClient } from '@clickhouse/client';
import type { FastifyInstance } from 'fastify';
import { SaccadeError } from '../connectors/errors.ts';
import { pythonWith } from '../deploy/local/python.ts';
import { sqlDoor } from '../processors/assembly/sql-door.ts';
import type { Authenticate } from '../processors/edge/principal.ts';
import { type PeopleSql, peopleSql, secret } from './support/people-sql.ts';

const authenticate: Authenticate = async ({ headers }) => {
  if (headers.authorization !== 'Bearer key-of-mine') throw new SaccadeError('unauthenticated');
  return { id: 'me', tenant: 'mine', role: 'viewer', kind: 'key' };
};

describe("ClickHouse's own HTTP interface", { timeout: 280_000 }, () => {
  let people: PeopleSql;
  let app: FastifyInstance;
  let url: string;
  let client: ClickHouseClient;
  peopleSql('door', (made) => (people = made));
  before(async () => {
    app = sqlDoor({ ask: people.ask, shown: 'saccade', authenticate });
    url = await app.listen({ host: '127.0.0.1', port: 0 });
    client = createClient({ url, username: 'anybody', password: 'key-of-mine', database: 'saccade' });
  });
  after(async () => {
    await client?.close();
    await app?.close();
  });

  const ask = (query: string, headers: Record<string, string> = {}): Promise<Response> => fetch(`${url}/?${query}`, { headers: { 'x-clickhouse-user': 'me', 'x-clickhouse-key': 'key-of-mine', ...headers } });
  const q = encodeURIComponent;

  describe('@clickhouse/client, unmodified', () => {
    test('pings and asks', async () => {
      assert.equal((await client.ping()).success, true);
      const rows = await (await client.query({ query: 'SELECT source, score FROM predictions ORDER BY source', format: 'JSONEachRow' })).json<{ source: string }>();
      assert.deepEqual(rows.map(({ source }) => source), ['camera', 'gate']);
    });

    test('parameters, settings, ids, summaries and compression', async () => {
      const zipped = createClient({ url, username: 'x', password: 'key-of-mine', compression: { response: true, request: true }, clickhouse_settings: { output_format_json_quote_64bit_integers: 1, async_insert: 1 } });
      const answer = await zipped.query({ query: "SELECT count() AS n, {text:String} AS text, {list:Array(UInt8)} AS list FROM saccade.predictions", query_params: { text: "it's\ttabbed", list: [1, 2] }, format: 'JSON', query_id: 'my-own-id' });
      const { data } = await answer.json<{ n: string; text: string; list: number[] }>();
      assert.deepEqual(data, [{ n: '2', text: "it's\ttabbed", list: [1, 2] }]);
      assert.equal(answer.query_id, 'my-own-id');
      await zipped.close();
    });

    test('streams row by row', async () => {
      const stream = (await client.query({ query: 'SELECT number FROM numbers(200000)', format: 'JSONEachRow' })).stream();
      let rows = 0;
      for await (const some of stream) rows += some.length;
      assert.equal(rows, 200_000);
    });

    test('gets errors as it parses them', async () => {
      await assert.rejects(client.query({ query: 'SELECT nonsense FROM predictions' }), { type: 'UNKNOWN_IDENTIFIER', code: '47' });
      await assert.rejects(client.query({ query: 'SELEC 1' }), { type: 'SYNTAX_ERROR', code: '62', message: /position 1/ });
      await assert.rejects(client.query({ query: 'SELECT * FROM saccade.predictions_raw' }), { type: 'ACCESS_DENIED', code: '497' });
      await assert.rejects(client.command({ query: 'DROP TABLE predictions' }), /not allowed|SYNTAX_ERROR|Syntax/);
      await assert.rejects(client.insert({ table: 'predictions_raw', values: [{ tenant: 'mine' }], format: 'JSONEachRow' }));
      await assert.rejects(client.query({ query: 'SELECT 1', clickhouse_settings: { additional_table_filters: '{}' } as never }), { type: 'ACCESS_DENIED' });
      const stranger = createClient({ url, password: 'another' });
      await assert.rejects(stranger.query({ query: 'SELECT 1' }), { type: 'AUTHENTICATION_FAILED', code: '516' });
      await stranger.close();
    });
  });

  describe('as curl and its like use it', () => {
    test('health, and who asks by header, login, URL', async () => {
      assert.equal(await (await fetch(`${url}/ping`)).text(), 'Ok.\n');
      assert.equal(await (await ask(`query=${q('SELECT 1')}`)).text(), '1\n');
      assert.equal(await (await fetch(`${url}/?query=${q('SELECT 1')}`, { headers: { authorization: `Basic ${Buffer.from('u:key-of-mine').toString('base64')}` } })).text(), '1\n');
      assert.equal(await (await fetch(`${url}/?user=u&password=key-of-mine&query=${q('SELECT 1')}`)).text(), '1\n');
      for (const headers of [{}, { authorization: `Basic ${Buffer.from('u:').toString('base64')}` }, { 'x-clickhouse-key': 'x' }] as Record<string, string>[]) {
        const refused = await fetch(`${url}/?query=${q('SELECT 1')}`, { headers });
        assert.equal(refused.status, 401);
        assert.match(await refused.text(), /^Code: 516\..*AUTHENTICATION_FAILED/);
      }
    });

    test('a query in the body, in the URL and in both; packed', async () => {
      const headers = { 'x-clickhouse-key': 'key-of-mine' };
      assert.equal(await (await fetch(url, { method: 'POST', body: 'SELECT 2', headers })).text(), '2\n');
      assert.equal(await (await fetch(`${url}/?query=${q('SELECT')}`, { method: 'POST', body: '3', headers })).text(), '3\n');
      assert.equal(await (await fetch(url, { method: 'POST', body: gzipSync('SELECT 4'), headers: { ...headers, 'content-encoding': 'gzip' } })).text(), '4\n');
      assert.equal((await fetch(url, { method: 'POST', body: 'SELECT 4', headers: { ...headers, 'content-encoding': 'gzip' } })).status, 400);
      const packed = await app.inject({ url: `/?enable_http_compression=1&query=${q('SELECT 5')}`, headers: { ...headers, 'accept-encoding': 'gzip' } });
      assert.equal(packed.headers['content-encoding'], 'gzip');
      assert.equal(gunzipSync(packed.rawPayload).toString(), '5\n');
    });

    test('what clients ask when they connect', async () => {
      for (const query of [
        'SELECT version()', 'SELECT 1 FROM system.one', 'SELECT version(), timezone()', 'SELECT displayName(), version(), revision(), timezone()', 'SHOW DATABASES', 'SHOW TABLES FROM "saccade"',
        'DESC TABLE "saccade"."predictions"', 'DESCRIBE TABLE `saccade`.`detections`', "SELECT name, value, changed, description, type, readonly FROM system.settings LIMIT 10000",
        "select name from system.databases order by name", "SELECT name FROM system.tables WHERE database = 'saccade'", "SELECT table, name, type FROM system.columns WHERE database = 'saccade' ORDER BY table, position",
        'SELECT currentDatabase()', 'SELECT name, is_aggregate FROM system.functions LIMIT 5', 'select * from system.data_type_families limit 2',
      ]) {
        const response = await ask(`query=${q(query)}&default_format=JSON`);
        const text = await response.text();
        assert.equal(response.status, 200, `${query}: ${text}`);
        assert.ok(!text.includes(secret) && !text.includes('_tenant_'), `${query}: ${text.slice(0, 300)}`);
      }
      assert.equal(await (await ask(`query=${q('SHOW DATABASES')}`)).text(), 'saccade\n');
      assert.match(await (await ask(`query=${q('SHOW TABLES')}`)).text(), /^detections\n[^]*^outcomes\n/m);
      assert.match(await (await ask(`query=${q('DESC predictions')}`)).text(), /^source\tLowCardinality\(String\)/m);
    });

    test('refuses other databases, sessions of changes, and browsers', async () => {
      for (const [query, headers] of [['database=system&query=SELECT+1', {}], ['query=SELECT+1', { origin: 'http://evil' }], ['query=SELECT+1&readonly_x=1', {}]] as const) {
        const response = await ask(query, headers);
        assert.ok(response.status >= 400 && response.status < 502, query);
        assert.match(await response.text(), /^Code: \d+\. DB::Exception: /);
      }
      assert.equal((await ask('query=SELECT+1&session_id=abc&database=default&send_progress_in_http_headers=1')).status, 200);
      assert.equal((await fetch(`${url}/other`)).status, 404);
    });

    test('limits hold whatever a client asks for', async () => {
      assert.match(await (await ask(`query=${q('SELECT number FROM numbers(5)')}&max_result_rows=3`)).text(), /TOO_MANY_ROWS/);
      assert.match(await (await ask(`query=${q('SELECT number FROM numbers(2000000)')}&max_result_rows=100000000`)).text(), /TOO_MANY_ROWS/);
    });
  });

  test('a query that nobody waits for any more is ended', async () => {
    const leaving = new AbortController();
    const mark = 1_234_567_890;
    const asked = fetch(`${url}/?query=${q(`SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = ${mark}`)}`, { headers: { 'x-clickhouse-key': 'key-of-mine' }, signal: leaving.signal });
    const running = async (): Promise<number> => (await people.store.query<{ n: number }>(`SELECT count() AS n FROM system.processes WHERE query LIKE '%sipHash64%' AND query LIKE '%${mark}%' AND query NOT LIKE '%processes%'`))[0]!.n;
    const until = async (wanted: number): Promise<void> => {
      while ((await running()) !== wanted) await new Promise((later) => setTimeout(later, 50));
    };
    await until(1);
    leaving.abort();
    await assert.rejects(asked);
    // Long before its limit of 30 s: or this test's own limit ends it.
    await Promise.race([until(0), new Promise((_, fail) => setTimeout(fail, 20_000, new Error('it goes on')).unref())]);
  });

  test('clickhouse-connect, unmodified', async (t) => {
    const python = await pythonWith(['clickhouse-connect==0.8.18'], () => {}).catch((error: Error) => t.skip(error.message));
    if (!python) return;
    const program = `
import sys, clickhouse_connect
client = clickhouse_connect.get_client(host='127.0.0.1', port=int(sys.argv[1]), username='me', password='key-of-mine', database='saccade')
print(client.query('SELECT source, score, timings_ms, captured_at FROM predictions ORDER BY source').result_rows[0][0])
print(client.command('SELECT count() FROM saccade.predictions'))
print(client.query('SELECT count() FROM predictions WHERE source = {s:String}', parameters={'s': 'gate'}).first_row[0])
print(client.query('SELECT count() FROM predictions WHERE source = %(s)s', parameters={'s': 'gate'}).first_row[0])
try:
    client.query('SELECT * FROM saccade.predictions_raw')
    print('answered')
except Exception as error:
    print('refused' if '497' in str(error) else error)
`;
    const { stdout } = await promisify(execFile)(python, ['-c', program, new URL(url).port]);
    assert.equal(stdout, 'camera\n2\n1\n1\nrefused\n');
  });
});
