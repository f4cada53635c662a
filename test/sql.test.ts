import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chdbFolder } from '../connectors/chdb/folder.ts';
import { startChdb, type Chdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { sqlCommand } from '../processors/sql.ts';
import { prediction } from './contracts/store.ts';
import { storePredictions } from './support/rows.ts';

/** What a person would see. */
async function run(argv: string[], env: NodeJS.ProcessEnv, io: { stdin?: string; terminal?: boolean } = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const code = await sqlCommand(argv, env, {
    stdin: Object.assign(Readable.from(io.stdin === undefined ? [] : [Buffer.from(io.stdin)]), { isTTY: io.terminal === true && io.stdin === undefined }),
    stdout: Object.assign(stdout, { isTTY: io.terminal === true }),
    stderr,
  });
  stdout.end();
  stderr.end();
  return { code, out: await text(stdout), err: await text(stderr) };
}

const sql = (query: string, env: NodeJS.ProcessEnv) =>
  promisify(execFile)(process.execPath, ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL('../processors/sql.ts', import.meta.url)), query], {
    env: { ...process.env, ...env },
  });

const howMany = 'select model, count() as n from predictions group by model';

describe('npm run sql', { timeout: 120_000 }, () => {
  let data: string;
  let chdb: Chdb;
  let env: NodeJS.ProcessEnv;
  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'saccade-sql-'));
    env = { SACCADE_DATA: data };
    chdb = await startChdb({ dataDir: chdbFolder(data) });
    const store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
    await store.migrate();
    await storePredictions(store, [prediction(), prediction()]);
    await store.close();
    await writeFile(join(data, 'run.json'), JSON.stringify({ pid: 1, clickhouse: { kind: 'chdb', url: chdb.url, username: 'default' } }));
  });
  after(async () => {
    await chdb?.stop();
    await rm(data, { recursive: true, force: true });
  });

  test('asks the store of the pipeline that runs', async () => {
    assert.deepEqual(await run([howMany], env), { code: 0, out: 'nanodet\t2\n', err: '' });
  });

  test('draws a table for a person, and any format that is asked for', async () => {
    assert.match((await run([howMany], env, { terminal: true })).out, /┌─model─+┬─n─┐/);
    assert.equal((await run(['--format', 'CSVWithNames', howMany], env, { terminal: true })).out, '"model","n"\n"nanodet",2\n');
    assert.equal((await run([`${howMany} format JSONEachRow`], env)).out, '{"model":"nanodet","n":2}\n');
  });

  test('reads the query from its input, and the words of one without quotes', async () => {
    assert.equal((await run([], env, { stdin: `${howMany};\n` })).out, 'nanodet\t2\n');
    assert.equal((await run(['select', '1', '+', '1'], env)).out, '2\n');
  });

  test('finds another store by flag and by environment, and another database', async () => {
    const elsewhere = { SACCADE_DATA: join(data, 'empty') };
    assert.equal((await run(['--url', chdb.url, howMany], elsewhere)).code, 0);
    assert.equal((await run([howMany], { ...elsewhere, CLICKHOUSE_URL: chdb.url })).code, 0);
    assert.equal((await run(['--database', 'default', 'select currentDatabase()'], env)).out, 'default\n');
  });

  test("shows the query's own error, without pages of what could have stood there", async () => {
    const { code, out, err } = await run(['select nonsense from predictions'], env);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /nonsense.*UNKNOWN_IDENTIFIER/s);
    const syntax = await run(['selec 1'], env);
    assert.equal(syntax.code, 1);
    assert.match(syntax.err, /Syntax error.*SYNTAX_ERROR/s);
    assert.ok(syntax.err.length < 300, syntax.err);
  });

  test('saved questions, with what they take', async () => {
    const { code, out } = await run(['saved'], env);
    assert.equal(code, 0);
    assert.match(out, /^unanswered\n {4}\S.* \[days=7\]$/m);
    assert.deepEqual(await run(['--saved', 'unanswered', '--param', 'days=3', '--format', 'CSV'], env), { code: 0, out: '', err: '' });
    assert.equal((await run(['--param', 'x=5', 'select {x:UInt8} + 1'], env)).out, '6\n');
    for (const [argv, why] of [[['--saved', 'nothing'], /nothing.*unanswered/], [['--saved', 'unanswered', '--param', 'weeks=1'], /weeks.*days/], [['--param', 'x', 'select 1'], /NAME=TEXT/]] as const) {
      const refused = await run([...argv], env);
      assert.deepEqual([refused.code, why.test(refused.err)], [2, true], refused.err);
    }
  });

  test('the grants of a server, as text', async () => {
    const { code, out } = await run(['--grants', 'acme', '--grants', 'other'], env);
    assert.equal(code, 0);
    for (const part of ['CREATE USER IF NOT EXISTS `saccade_sql`', "USING tenant = 'acme'", "USING tenant = 'other'"]) assert.ok(out.includes(part), part);
  });

  test('says what is wrong with the question', async () => {
    assert.deepEqual(await run(['--colour', 'select 1'], env).then((r) => [r.code, /--colour/.test(r.err)]), [2, true]);
    assert.deepEqual(await run([], env, { terminal: true }).then((r) => [r.code, /Nothing was asked/.test(r.err)]), [2, true]);
    assert.deepEqual(await run(['  '], env).then((r) => r.code), 2);
    assert.deepEqual(await run(['--database', 'a-b', 'select 1'], env).then((r) => [r.code, /a-b/.test(r.err)]), [2, true]);
    const { code, out } = await run(['--help'], env);
    assert.equal(code, 0);
    for (const view of ['predictions', 'detections', 'outcomes']) assert.ok(out.includes(view));
  });

  test('says that there is nothing to ask, or nobody there', async () => {
    const nothing = await run([howMany], { SACCADE_DATA: join(data, 'empty') });
    assert.equal(nothing.code, 3);
    assert.match(nothing.err, /npm start/);
    const nobody = await run([howMany], { ...env, CLICKHOUSE_URL: 'http://127.0.0.1:9' });
    assert.equal(nobody.code, 3);
    assert.match(nobody.err, /127\.0\.0\.1:9/);
  });

  test('as a command of its own, with a pipeline and after one was killed', async () => {
    assert.equal((await sql(howMany, env)).stdout, 'nanodet\t2\n');
    // run.json stays behind and names a store that is gone.
    await chdb.stop();
    const alone = await sql(howMany, env);
    assert.equal(alone.stdout, 'nanodet\t2\n');
    assert.match(alone.stderr, /No pipeline runs/);
    await assert.rejects(sql('select nonsense', env), { code: 1 });
    // Each time it gave the folder back.
    chdb = await startChdb({ dataDir: chdbFolder(data) });
  });
});
