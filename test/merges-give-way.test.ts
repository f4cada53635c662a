/** The embedded ClickHouse merges at a lower priority than it answers, where threads have one of their own. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { niceness } from '../connectors/chdb/merges-give-way.ts';
import { startChdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { eventually } from './support/pipeline.ts';

/** By name, the threads that give way more than the process does. */
async function nice(pid: number): Promise<string[]> {
  const found: string[] = [];
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => '');
    // After the name, which may hold anything: state is the first field, niceness the 17th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(fields[16]) === niceness) found.push(stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')));
  }
  return found;
}

test('threads that merge are nice, those that answer are not', { skip: process.platform !== 'linux', timeout: 60_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'saccade-merges-'));
  const chdb = await startChdb({ dataDir });
  const store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
  try {
    await store.migrate();
    await store.command('CREATE TABLE many (n UInt64) ENGINE = MergeTree ORDER BY n');
    await eventually(async () => (await nice(chdb.pid)).length > 0, 'they are found');
    for (let i = 0; i < 20; i++) await store.command('INSERT INTO many SELECT rand64() FROM numbers(200000)');
    await store.command('OPTIMIZE TABLE many FINAL');
    for (let i = 0; i < 10; i++) await store.query('SELECT uniqExact(n) AS n FROM many');
    assert.deepEqual([...new Set(await nice(chdb.pid))], ['MergeMutate']);
  } finally {
    await store.close();
    await chdb.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
});
