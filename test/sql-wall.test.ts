import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import type { SaccadeError } from '../connectors/errors.ts';
import { type PeopleSql, peopleSql, secret } from './support/people-sql.ts';
import { attempts } from './reference/sql-attempts.ts';
import { analysts } from './reference/sql-analysts.ts';

describe("people's SQL", { timeout: 300_000 }, () => {
  let people: PeopleSql;
  peopleSql('wall', (made) => (people = made));

  /** The error of a query that must not be answered. Whatever is said about it may name nothing of another tenant's. */
  async function refusal(sql: string, params?: Record<string, unknown>): Promise<SaccadeError> {
    try {
      const answer = await people.answer(sql, { ...(params && { params }) });
      assert.fail(`answered: ${sql}\n${answer.slice(0, 500)}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      const { code, message } = error as SaccadeError;
      assert.ok(['forbidden_sql', 'bad_request', 'query_failed'].includes(code), `${sql}: ${code} ${message}`);
      assert.ok(message.length > 20, message);
      return error as SaccadeError;
    }
  }

  test('the secret is there to be found', async () => {
    assert.match(await people.store.text('SELECT source FROM predictions', 'TSV'), new RegExp(secret));
    assert.match(await people.answer('SELECT source FROM predictions', { tenant: 'theirs' }), new RegExp(secret));
  });

  describe('attempts to break out are refused', () => {
    for (const [about, queries] of Object.entries(attempts)) {
      test(about, async () => {
        for (const sql of queries) {
          const error = await refusal(sql);
          assert.ok(!error.message.includes(secret), error.message);
        }
      });
    }

    test('a table by parameter', async () => void (await refusal('SELECT * FROM {t:Identifier}', { t: 'saccade.predictions_raw' })));

    test('with words that say what is wrong', async () => {
      for (const [sql, why] of [
        ['SELECT * FROM saccade.predictions_raw', /no table saccade\.predictions_raw for you/],
        ["SELECT * FROM file('/etc/passwd')", /function file is not allowed/],
        ["SELECT 1 SETTINGS additional_table_filters = {'predictions': '1'}", /SETTINGS/],
        ['SELECT 1 SETTINGS max_threads = 1, readonly = 0', /SETTINGS/],
        ['SELECT * FROM (SELECT 1 SETTINGS max_threads = 1)', /SETTINGS/],
        ["SELECT * FROM predictions INTO OUTFILE '/tmp/x'", /OUTFILE/],
        ["SELECT getSetting('max_threads')", /function getSetting is not allowed/],
        ['SELECT 1; SELECT 2', /[Mm]ulti|statement|Syntax/],
        ['DROP TABLE predictions', /only SELECT|Syntax|not allowed/i],
      ] as const) assert.match((await refusal(sql)).message, why, sql);
    });
  });

  describe('what is answered holds nothing of other tenants', () => {
    for (const sql of [
      'SELECT * FROM predictions', 'SELECT * FROM detections', 'SELECT * FROM outcomes', 'SELECT * FROM outcomes_by_minute', 'SELECT * FROM outcomes_by_hour', 'SELECT * FROM labels_by_hour', 'SELECT * FROM frames', 'SELECT * FROM kept_frames', 'SELECT * FROM embeddings', 'SELECT * FROM timings',
      'SELECT * FROM saccade.predictions', 'SELECT * FROM `saccade`.`predictions`', 'SELECT * FROM "saccade"."predictions"', 'SELECT saccade.predictions.source FROM saccade.predictions',
      'SELECT * FROM system.tables', 'SELECT * FROM system.columns', 'SELECT * FROM system.databases', 'SELECT * FROM system.settings', 'SHOW TABLES', 'SHOW DATABASES', 'DESCRIBE TABLE predictions',
      "SELECT * FROM predictions WHERE tenant = 'theirs' OR 1", "WITH predictions AS (SELECT * FROM outcomes) SELECT * FROM predictions", 'SELECT currentDatabase()',
    ]) test(sql, async () => assert.ok(!(await people.answer(sql)).includes(secret)));

    test('and all that is theirs own', async () => {
      assert.equal(await people.answer('SELECT count(), uniqExact(tenant), any(tenant) FROM predictions'), '2\t1\tmine\n');
      assert.equal(await people.answer('SELECT sum(n), uniqExact(tenant) FROM outcomes_by_hour'), '2\t1\n');
      assert.equal(await people.answer('SELECT count() FROM predictions', { tenant: 'nobody' }), '0\n');
    });

    test('a tenant with a name like another', async () => {
      assert.equal(await people.answer('SELECT count() FROM predictions', { tenant: 'min_e' }), '0\n');
      assert.equal(await people.answer('SELECT count() FROM predictions', { tenant: 'mine.x' }), '0\n');
    });
  });

  describe('what analysts ask is answered', () => {
    for (const sql of analysts) test(sql.replaceAll(/\s+/g, ' ').slice(0, 100), async () => void (await people.answer(sql)));
  });

  test('settings at the end that a client could give beside its query, within the limits', async () => {
    assert.equal(await people.answer("SELECT 1 AS n SETTINGS max_execution_time = 10, format_csv_delimiter = ';', max_threads = 1"), '1\n');
    assert.equal(await people.answer('SELECT 1 AS n SETTINGS output_format_json_quote_64bit_integers = 1, max_threads = 2 FORMAT TSVWithNames'), 'n\n1\n');
    assert.match((await refusal('SELECT number FROM numbers(5) SETTINGS max_result_rows = 3')).message, /TOO_MANY_ROWS/);
    for (const most of ['0', '100000000', "'1e9'", '-1']) assert.match((await refusal(`SELECT number FROM numbers(2000000) SETTINGS max_result_rows = ${most}`)).message, /TOO_MANY_ROWS|SETTINGS/, most);
  });

  test('parameters are values, whatever is in them', async () => {
    const sql = 'SELECT count() FROM predictions WHERE source = {source:String}';
    assert.equal(await people.answer(sql, { params: { source: 'gate' } }), '1\n');
    assert.equal(await people.answer(sql, { params: { source: "x' OR 1=1 --" } }), '0\n');
    assert.equal(await people.answer('SELECT arrayJoin({of:Array(UInt8)})', { params: { of: [1, 2] } }), '1\n2\n');
    assert.match((await refusal(sql)).message, /source/);
  });

  test('combinations by chance never show what is theirs', async () => {
    // A generator of its own, so that a failure comes again.
    let state = 42;
    const below = (n: number): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) % n;
    const of = <T>(list: readonly T[]): T => list[below(list.length)]!;
    const tables = ['predictions', 'predictions', 'outcomes', '`predictions`', 'saccade.predictions', 'saccade.outcomes', 'outcomes', 'saccade.predictions_raw', '`saccade`.`predictions_raw`', 'predictions_raw', 'system.tables', 'system.parts', '"predictions"', 'saccade_tenant_theirs.predictions', 'detections', 'p', 'q', "file('/etc/passwd')", "merge('saccade', '.*')", "remote('localhost', saccade, predictions_raw)", 'numbers(3)', 'saccade . predictions_raw', 'saccade./**/predictions_raw', '`saccade.predictions_raw`', "viewExplain('EXPLAIN', '', (SELECT 1))", 'default.predictions'];
    const columns = ['*', '*', 'source', 'source', 'count()', 'tenant', 'p.source', 'tenant', 'saccade.predictions_raw.source', '(SELECT any(source) FROM saccade.predictions_raw)', "dictGet('d', 'x', 1)", '* EXCEPT source', 'COLUMNS(\'.*\')', "joinGet('saccade.predictions_raw', 'source', 1)"];
    const wheres = ['', '', '', 'WHERE 1', "WHERE tenant = 'theirs'", 'WHERE source IN saccade.predictions_raw', 'WHERE source IN (SELECT source FROM saccade.predictions_raw)', 'WHERE in(source, saccade.predictions_raw)', 'PREWHERE 1'];
    const tails = ['', '', '', '', 'LIMIT 5', 'FORMAT CSV', 'SETTINGS additional_table_filters = {}', 'FORMAT JSON', 'FORMAT TSV SETTINGS max_threads = 1', "INTO OUTFILE 'x'", '; SELECT 1', '-- \n', '/* */', 'UNION ALL SELECT source FROM saccade.predictions_raw'];
    let answered = 0;
    for (let i = 0; i < 400; i++) {
      const from = (): string => `SELECT ${of(columns)} FROM ${of([...tables, `(SELECT * FROM ${of(tables)})`])} ${of(['', '', 'AS p', 'AS p', 'FINAL', `JOIN ${of(tables)} AS q USING source`])} ${of(wheres)}`;
      const sql = `${of(['', '', 'WITH p AS (SELECT * FROM predictions) ', 'WITH predictions_raw AS (SELECT 1) ', `WITH p AS (${from()}) `])}${from()} ${of(tails)}`;
      try {
        const answer = await people.answer(sql);
        answered++;
        assert.ok(!answer.includes(secret), sql);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        assert.ok(!(error as Error).message.includes(secret), `${sql}\n${(error as Error).message}`);
      }
    }
    assert.ok(answered > 20, `${answered} were answered: the fuzz has to reach the engine`);
  });

  describe('limits', () => {
    test('time', async () => assert.rejects(people.answer('SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1', { ask: people.with({ seconds: 1 }) }), /TIMEOUT_EXCEEDED/));
    test('memory', async () => assert.rejects(people.answer('SELECT uniqExact(number) FROM numbers(100000000)', { ask: people.with({ memoryBytes: 32 * 1024 * 1024 }) }), /MEMORY_LIMIT_EXCEEDED/));
    test('rows', async () => assert.rejects(people.answer('SELECT number FROM numbers(1001)', { ask: people.with({ rows: 1000 }) }), /TOO_MANY_ROWS_OR_BYTES/));
    test('bytes, of which a client may ask for fewer', async () => {
      const few = people.with({ resultBytes: 100_000 });
      await assert.rejects(people.answer("SELECT repeat('x', 1000 + number % 2) FROM numbers(200)", { ask: few }), /TOO_MANY_ROWS_OR_BYTES/);
      await assert.rejects(people.answer("SELECT repeat('x', 1000 + number % 2) FROM numbers(200) SETTINGS max_result_bytes = 1000000", { ask: few }), /TOO_MANY_ROWS_OR_BYTES/);
      assert.equal((await people.answer("SELECT repeat('x', 1000 + number % 2) FROM numbers(50)", { ask: few })).length, 50 * 1001 + 25);
      await assert.rejects(people.answer("SELECT repeat('x', 1000 + number % 2) FROM numbers(50) SETTINGS max_result_bytes = 1000", { ask: few }), /TOO_MANY_ROWS_OR_BYTES/);
    });
    test('of what is not read yet: tenants that take nothing fill no memory', async () => {
      const few = people.with({ resultBytes: 100_000 });
      const { signal } = new AbortController();
      // More than a pipe holds, so that the answer cannot be read ahead to its end.
      const sql = "SELECT repeat('x', 90000)";
      const untaken = [];
      for (let i = 0; i < 5; i++) untaken.push(await few(`tenant${i}`, { sql, format: 'TSV', signal }));
      await assert.rejects(few('another', { sql, format: 'TSV', signal }), { code: 'overloaded' });
      await Promise.all(untaken.map(({ stream }) => text(stream)));
      assert.equal((await people.answer(sql, { tenant: 'another', ask: few })).length, 90_001);
    });
    test('bytes of an answer that its writing makes large', async () => {
      await assert.rejects(people.answer(`SELECT number AS ${'n'.repeat(60_000)} FROM numbers(20000) FORMAT JSONEachRow`), /memory limit exceeded/i);
      await assert.rejects(people.answer("SELECT repeat('x', 100000) FROM numbers(20000)"), /memory limit exceeded/i);
    });
    test('length', async () => assert.rejects(people.answer(`SELECT '${'x'.repeat(100_001)}'`), /longer than 100000/));
    test('nothing and NUL', async () => {
      await assert.rejects(people.answer(' '), /empty/);
      await assert.rejects(people.answer('SELECT 1\0 DROP'), /NUL/);
    });
    test('the sink goes on inserting, whatever people ask beside it', async () => {
      await assert.rejects(people.answer('SELECT throwIf(1)'));
      await people.store.insert('rollup_passes', [{ pass: 1, builder: 'test', started_at: 0, since: 0, until: 0, finished_at: null, hours_rebuilt: 0 }]);
    });
  });
});
