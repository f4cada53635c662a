/** The embedded ClickHouse as a process: who owns it, how it ends, and what other clients of ClickHouse's HTTP protocol get. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { niceness } from '../connectors/chdb/merges-give-way.ts';
import { nativeFor } from '../connectors/chdb/native.ts';
import { startChdb, type Chdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { prediction } from './contracts/store.ts';
import { storePredictions } from './support/rows.ts';

const serverFile = fileURLToPath(new URL('../connectors/chdb/server.ts', import.meta.url));
const startFile = new URL('../connectors/chdb/start.ts', import.meta.url).href;

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Waits for what must come to pass; the test runner's own limit ends it if it does not. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((later) => setTimeout(later, 50));
}

describe('the embedded ClickHouse as a process', { timeout: 120_000 }, () => {
  let dataDir: string;
  before(async () => (dataDir = await mkdtemp(join(tmpdir(), 'saccade-chdb-'))));
  after(async () => rm(dataDir, { recursive: true, force: true }));

  test('its merges give way to all else, and only they', { skip: process.platform === 'linux' ? false : 'only Linux has a niceness for each thread' }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'saccade-chdb-'));
    const chdb = await startChdb({ dataDir: folder, log: () => {} });
    try {
      const client = createClient({ url: chdb.url });
      await client.command({ query: 'CREATE TABLE merged (n UInt64) ENGINE = MergeTree ORDER BY n' });
      await client.close();
      const usual = getPriority(chdb.pid);
      const threads = (): { readonly name: string; readonly nice: number }[] =>
        readdirSync(`/proc/${chdb.pid}/task`).map((thread) => ({ name: readFileSync(`/proc/${chdb.pid}/task/${thread}/comm`, 'utf8').trim(), nice: getPriority(Number(thread)) }));
      const merging = (): { readonly nice: number }[] => threads().filter(({ name }) => name === 'MergeMutate');
      await until(() => merging().length > 0 && merging().every(({ nice }) => nice === niceness));
      assert.deepEqual(threads().filter(({ name, nice }) => name === 'node' && nice !== usual), []);
    } finally {
      await chdb.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('comes back after kill -9 at the same address with every acknowledged row', async () => {
    const lines: string[] = [];
    const chdb = await startChdb({ dataDir, log: (line) => lines.push(line) });
    const store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
    try {
      await store.migrate();
      let acknowledged = 0;
      const killed = chdb.pid;
      for (let batch = 0; batch < 20; batch++) {
        await storePredictions(store, Array.from({ length: 50 }, () => prediction()));
        acknowledged += 50;
      }
      process.kill(killed, 'SIGKILL');
      await assert.rejects(store.query('SELECT 1'), { code: 'store_unavailable' });
      await until(() => store.ping().then(() => true, () => false));
      assert.notEqual(chdb.pid, killed);
      assert.deepEqual(await store.query('SELECT count() AS n FROM predictions'), [{ n: acknowledged }]);
      assert.ok(lines.some((line) => line.includes('SIGKILL')), lines.join('\n'));
    } finally {
      await store.close();
      await chdb.stop();
    }
    assert.equal(alive(chdb.pid), false);
    assert.equal(await chdb.ended, null);
  });

  test('lets a folder have one owner, and says so to the second', async () => {
    const owner = await startChdb({ dataDir });
    try {
      await assert.rejects(startChdb({ dataDir }), (error: Error) => {
        assert.match(error.message, /another process has it open/);
        assert.ok(error.message.includes(dataDir));
        return true;
      });
      assert.equal((await fetch(`${owner.url}/ping`)).status, 200);
    } finally {
      await owner.stop();
    }
  });

  test('ends with a parent that is killed with -9, and leaves the folder free', async () => {
    const parent = spawn(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', `import { startChdb } from '${startFile}'; const c = await startChdb({ dataDir: process.argv[1] }); console.log(c.pid); setInterval(() => {}, 1000);`, dataDir],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string];
    const child = Number(line);
    assert.ok(alive(child));
    parent.kill('SIGKILL');
    await until(() => !alive(child));
    const next = await startChdb({ dataDir });
    await next.stop();
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`ends by ${signal} after it has answered what it was asked`, async () => {
      const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), serverFile, '--data', dataDir], { stdio: ['pipe', 'pipe', 'inherit'] });
      const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
      const { url, pid, version } = JSON.parse(line) as { url: string; pid: number; version: string };
      assert.equal(pid, child.pid);
      assert.match(version, /^\d+\.\d+/);
      const slow = fetch(`${url}/?query=${encodeURIComponent('SELECT sleep(0.5), 42 FORMAT TSV')}`);
      // Until the server has the request: another one is answered after it was sent.
      await until(async () => (await fetch(`${url}/ping`)).ok);
      const gone = once(child, 'exit');
      child.kill(signal);
      assert.equal(await (await slow).text(), '0\t42\n');
      assert.deepEqual(await gone, [0, null]);
    });
  }
});

const insert = (format: string): string => `query=${encodeURIComponent(`INSERT INTO t (a, b) FORMAT ${format}`)}`;

describe("the embedded ClickHouse speaks ClickHouse's HTTP protocol", { timeout: 120_000 }, () => {
  let dataDir: string;
  let chdb: Chdb;
  const ask = (path: string, init?: RequestInit): Promise<Response> => fetch(`${chdb.url}${path}`, init);
  const post = (body: string | Buffer, query = '', headers: Record<string, string> = {}): Promise<Response> =>
    ask(`/?${query}`, { method: 'POST', body: body as string, headers });

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'saccade-chdb-'));
    chdb = await startChdb({ dataDir });
    await post('CREATE TABLE t (a Int32, b String DEFAULT \'none\') ENGINE = MergeTree ORDER BY a');
  });
  after(async () => {
    await chdb?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  test('answers the ping, a GET, a POST and a query split over both', async () => {
    assert.equal(await (await ask('/ping')).text(), 'Ok.\n');
    assert.equal(await (await ask(`/?query=${encodeURIComponent('SELECT 1')}`)).text(), '1\n');
    assert.equal(await (await post('SELECT 2')).text(), '2\n');
    assert.equal(await (await post('+ 2', `query=${encodeURIComponent('SELECT 1')}`)).text(), '3\n');
  });

  test('names format, type and counters in its headers', async () => {
    const json = await post('SELECT number FROM numbers(3) FORMAT JSON');
    assert.equal(json.headers.get('content-type'), 'application/json; charset=UTF-8');
    assert.equal(json.headers.get('x-clickhouse-format'), 'JSON');
    assert.equal(JSON.parse(json.headers.get('x-clickhouse-summary')!).result_rows, '3');
    const csv = await post('SELECT 1', 'default_format=CSVWithNames&wait_end_of_query=1&query_id=q-7');
    assert.equal(csv.headers.get('x-clickhouse-query-id'), 'q-7');
    assert.deepEqual([csv.headers.get('x-clickhouse-format'), await csv.text()], ['CSVWithNames', '"1"\n1\n']);
  });

  test('words errors as the server does', async () => {
    const response = await post('SELECT * FROM nowhere');
    assert.equal(response.status, 404);
    assert.equal(response.headers.get('x-clickhouse-exception-code'), '60');
    assert.match(await response.text(), /^Code: 60\. DB::Exception: .*nowhere.*\(UNKNOWN_TABLE\) \(version \d/s);
    assert.equal((await post('SELEC')).status, 400);
    assert.equal((await post('SELECT 1', 'no_such_setting=1')).headers.get('x-clickhouse-exception-code'), '115');
    assert.equal((await post('SELECT 1', 'database=nowhere')).headers.get('x-clickhouse-exception-code'), '81');
    assert.equal((await post('SELECT 1', 'session_id=s')).status, 501);
  });

  test('takes rows in the body, plain, gzipped or behind the statement, and in the text formats', async () => {
    await post('TRUNCATE TABLE t');
    assert.equal((await post('{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n', insert('JSONEachRow'))).status, 200);
    assert.equal((await post(gzipSync('3,"z\n"\n'), insert('CSV'), { 'content-encoding': 'gzip' })).status, 200);
    assert.equal((await post('4\tt\n', insert('TSV'))).status, 200);
    assert.equal((await post("(5, 'v'), (6, 'w')", insert('Values'))).status, 200);
    assert.equal((await post('INSERT INTO t (a) FORMAT JSONEachRow\n{"a":7}\n')).status, 200);
    assert.equal(await (await post('SELECT * FROM t ORDER BY a FORMAT JSONCompactColumns')).json().then((c) => JSON.stringify(c)), JSON.stringify([
      [1, 2, 3, 4, 5, 6, 7],
      ['x', 'y', 'z\n', 't', 'v', 'w', 'none'],
    ]));
    assert.equal((await post(Buffer.from([1, 0, 0, 0, 1, 0x41]), insert('RowBinary'))).status, 501);
    const bad = await post('{"a":8}\n{"a":"eight"}\n', insert('JSONEachRow'));
    assert.deepEqual([bad.status, await (await post('SELECT count() FROM t WHERE a = 8')).text()], [400, '0\n']);
  });

  test('bounds a body, as sent and unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(70 * 1024 * 1024, 'x'));
    for (const response of [await post(bomb, insert('TSV'), { 'content-encoding': 'gzip' }), await post(Buffer.alloc(65 * 1024 * 1024, 'x'), insert('TSV'))]) {
      assert.equal(response.status, 413);
      assert.match(await response.text(), /TOO_MANY_BYTES/);
    }
    assert.equal((await post('not gzip', insert('TSV'), { 'content-encoding': 'gzip' })).status, 400);
  });

  test("keeps one request's settings, database and parameters from the next", async () => {
    await post('CREATE DATABASE IF NOT EXISTS other');
    const first = [
      post('SELECT 1', 'readonly=1'),
      post('SET max_block_size = 17'),
      post('USE other'),
      post('SELECT {p:UInt8}', 'param_p=1'),
      post('SELECT 1', 'max_block_size=19&database=other'),
    ];
    for (const response of await Promise.all(first)) assert.equal(response.status, 200);
    assert.notEqual(await (await post("SELECT getSetting('max_block_size') IN (17, 19)")).text(), '1\n');
    assert.equal(await (await post('SELECT currentDatabase()')).text(), 'default\n');
    assert.equal((await post('SELECT {p:UInt8}')).headers.get('x-clickhouse-exception-code'), '456');
    assert.equal((await post('INSERT INTO t (a) VALUES (100)')).status, 200);
  });

  test('bounds an answer, and leaves nothing of one cut short to the next', async () => {
    const cut = await post('SELECT number, repeat(toString(number), 100) FROM numbers(1000000)');
    assert.match(await cut.text(), /TOO_MANY_ROWS_OR_BYTES/);
    for (let i = 0; i < 5; i++) assert.equal(await (await post('SELECT 1')).text(), '1\n');
  });

  test('changes nothing for a GET, and answers no browser', async () => {
    assert.equal((await ask(`/?query=${encodeURIComponent('DROP TABLE t')}`)).status, 403);
    assert.equal((await post('SELECT 1', '', { origin: 'https://elsewhere.example' })).status, 403);
    const { port } = new URL(chdb.url);
    // Of a page whose name was made to lead here a browser says nothing else.
    const { stdout } = await promisify(execFile)('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '-H', `Host: evil.example:${port}`, `${chdb.url}/?query=SELECT+1`]);
    assert.equal(stdout, '403');
    assert.equal((await post('EXISTS t')).status, 200);
  });

  test('refuses a statement that a NUL would cut short', async () => {
    assert.equal((await post('SELECT 1 \0 FROM nowhere')).status, 400);
  });

  test('serves curl and the official client, compressed too', async () => {
    const { stdout } = await promisify(execFile)('curl', ['-sS', '--user', 'default:', '--data-binary', 'SELECT 1 AS a FORMAT JSONEachRow', chdb.url]);
    assert.equal(stdout, '{"a":1}\n');
    const client = createClient({ url: chdb.url, compression: { request: true, response: true }, username: 'someone', password: 'ignored', log: { level: ClickHouseLogLevel.OFF } });
    await client.command({ query: 'CREATE TABLE IF NOT EXISTS c (a UInt32, s String) ENGINE = MergeTree ORDER BY a' });
    const values = Array.from({ length: 1_000 }, (_, a) => ({ a, s: `row ${a}` }));
    const inserted = await client.insert({ table: 'c', values, format: 'JSONEachRow' });
    assert.equal(inserted.summary?.written_rows, '1000');
    const answer = await client.query({ query: 'SELECT * FROM c ORDER BY a', format: 'JSON' });
    assert.deepEqual((await answer.json<{ a: number; s: string }>()).data, values);
    await assert.rejects(client.query({ query: 'SELECT x' }), { code: '47', type: 'UNKNOWN_IDENTIFIER' });
    await client.close();
  });

  test('puts around the blocks of the Native format what a client of the binary protocol expects, and nothing into them', async () => {
    const native = async (query: string, version: string): Promise<Buffer> => Buffer.from(await (await post(query, `default_format=Native${version}`)).arrayBuffer());
    const block = '010002ffffffff00';
    assert.equal((await native('SELECT 7 AS a', '&client_protocol_version=54460')).toString('hex'), `${block}010101610555496e74380007`);
    assert.equal((await native('SELECT 7 AS a', '&client_protocol_version=54453')).toString('hex'), `${block}010101610555496e743807`);
    // Two columns to a block, a byte each and eight for the block.
    const query = "SELECT number % 3 = 0 ? [] : [map('k', (toLowCardinality(toNullable(toString(number % 5))), number))] AS a, CAST((1, 'x'), 'Tuple(`a, (b` UInt8, c String)') AS b FROM numbers(200000)";
    const [plain, framed] = await Promise.all([native(query, ''), native(query, '&client_protocol_version=54460')]);
    const added = framed.length - plain.length;
    assert.ok(added > 10 && added % 10 === 0, `${added} bytes more`);
    assert.throws(() => nativeFor(54_460, plain.subarray(0, -1)), /ends in the midst/);
    assert.equal((await post("SELECT '{}'::JSON AS j", 'default_format=Native&client_protocol_version=54460')).status, 501);
  });

  test('inserts while long reads run', async () => {
    const reads = Array.from({ length: 8 }, () => post('SELECT sum(sipHash64(number)) FROM numbers(30000000) SETTINGS max_threads = 1'));
    let pending = reads.length;
    for (const read of reads) void read.finally(() => pending--);
    for (let i = 0; i < 10; i++) assert.equal((await post('INSERT INTO t (a) VALUES (200)')).status, 200);
    assert.ok(pending > 0, 'every read had ended before the inserts had: no proof of anything');
    for (const read of reads) assert.equal((await read).status, 200);
  });
});
