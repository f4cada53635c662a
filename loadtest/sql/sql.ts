/**
 * The saved queries over a year of synthetic predictions, asked as people ask them: by the check, on the views of their tenant,
 * within their limits. Seconds by the clock, the middle and the most of several rounds; and the sizes of what lies on disk.
 */
import { cpus, tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { startChdb } from '../../connectors/chdb/start.ts';
import { clickhouseReader } from '../../connectors/clickhouse/reader.ts';
import { clickhouseStore } from '../../connectors/clickhouse/store.ts';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import { buildRollups } from '../../processors/sink/rollups/build.ts';
import { asking } from '../../processors/sql/ask.ts';
import { sqlLimits } from '../../processors/sql/config.ts';
import { type SavedQuery, savedQueries } from '../../processors/sql/saved.ts';
import { tenantViews } from '../../processors/sql/views.ts';
import { storeYear } from './year.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Of each table: rows, bytes a row on disk, and how much smaller than unpacked. */
const sizes = `SELECT table, sum(parts.rows) AS row_count, count() AS part_count, round(sum(bytes_on_disk) / row_count, 1) AS bytes_a_row, round(sum(data_uncompressed_bytes) / sum(data_compressed_bytes), 2) AS compression
  FROM system.parts AS parts WHERE database = currentDatabase() AND active GROUP BY table ORDER BY sum(bytes_on_disk) DESC`;
/** A small part keeps its columns in one file, and says nothing of each. */
const columnSizes = `SELECT column, round(sum(column_data_compressed_bytes) / sum(rows), 2) AS bytes_a_row, round(sum(column_data_uncompressed_bytes) / sum(column_data_compressed_bytes), 2) AS compression
  FROM system.parts_columns WHERE database = currentDatabase() AND table = 'predictions_raw' AND active AND part_type = 'Wide' GROUP BY column HAVING bytes_a_row >= 0.1 ORDER BY bytes_a_row DESC`;

const yearMs = 365 * 86_400_000;

/** A year up to now. What was kept is not made again: it is gone on with, so that it has a last hour too. */
async function fill(store: Store, rows: number, cameras: number): Promise<void> {
  await store.migrate();
  const [kept] = await store.query<{ n: number; last: number }>('SELECT count() AS n, toUnixTimestamp64Milli(max(captured_at)) AS last FROM predictions_raw');
  const [step, until] = [yearMs / rows, Date.now()];
  const all = kept!.n === 0 ? rows : kept!.n + Math.floor((until - kept!.last) / step);
  let next = 0;
  await storeYear(store, { rows: all, from: kept!.n, cameras, until, step }, (done) => {
    if (done < next) return;
    say(`${done} of ${all} rows stored`);
    next = done + rows / 10;
  });
}

/** Rows of the granules that the indexes leave, over all tables. */
async function rowsRead(store: Store, query: SavedQuery): Promise<number> {
  const tables = await store.query<{ rows: number }>(`EXPLAIN ESTIMATE ${query.sql}`, query.params);
  return tables.reduce((sum, { rows }) => sum + rows, 0);
}

async function countUp(store: Store): Promise<void> {
  say('building the rollups');
  const startedAt = performance.now();
  const { hoursRebuilt } = await buildRollups(store, { until: Date.now() + 60_000, clock: { now: Date.now }, builder: 'bench' });
  say(`${hoursRebuilt} hours counted in ${Math.round((performance.now() - startedAt) / 1000)} s`);
}

export async function sql(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { rows: { type: 'string', default: '20000000' }, cameras: { type: 'string', default: '50' }, rounds: { type: 'string', default: '5' }, data: { type: 'string' }, only: { type: 'string' } },
  });
  const [rows, cameras, rounds] = [Number(values.rows), Number(values.cameras), Number(values.rounds)];
  if (![rows, cameras, rounds].every((n) => Number.isInteger(n) && n >= 1)) throw new SaccadeError('invalid_config', '--rows, --cameras and --rounds are whole numbers from 1 on.');
  const dataDir = values.data ?? mkdtempSync(join(tmpdir(), 'saccade-bench-sql-'));
  const chdb = await startChdb({ dataDir });
  // A statement of the building may take minutes.
  const store = clickhouseStore({ url: chdb.url, kind: 'chdb', timeoutMs: 900_000 });
  // What takes longer than people may is told, not left out.
  const reader = clickhouseReader({ url: chdb.url, timeoutMs: 150_000 });
  try {
    await fill(store, rows, cameras);
    if (!values.only) await countUp(store);
    const ask = asking({ reader, views: tenantViews(store, 'saccade'), shown: 'saccade', limits: sqlLimits.parse({ seconds: 120 }) });
    const signal = new AbortController().signal;
    const found = new Map<string, number[]>();
    const answers = new Map<string, { rows: number; read: number }>();
    for (let round = 0; round <= rounds; round++) {
      for (const query of savedQueries()) {
        if (values.only && !values.only.split(',').includes(query.name)) continue;
        const startedAt = performance.now();
        const { stream } = await ask('default', { sql: query.sql, params: query.params, format: 'JSONCompact', signal });
        const answer = JSON.parse(await text(stream)) as { rows: number };
        const ms = performance.now() - startedAt;
        answers.set(query.name, { rows: answer.rows, read: await rowsRead(store, query) });
        // The first round warms up, but is told: it is what somebody feels who asks once.
        found.set(query.name, [...(found.get(query.name) ?? []), ms]);
      }
    }
    const figures = Object.fromEntries(
      [...found].map(([name, all]) => {
        const [first, ...ms] = all as [number, ...number[]];
        const sorted = ms.toSorted((a, b) => a - b);
        return [name, { first_ms: Math.round(first), median_ms: Math.round(sorted[sorted.length >> 1] ?? first), most_ms: Math.round(sorted.at(-1) ?? first), ...answers.get(name)! }];
      }),
    );
    const [tables, columns] = [await store.query(sizes), await store.query(columnSizes)];
    console.table(figures);
    console.table(tables);
    console.table(columns);
    console.log(JSON.stringify({ bench: 'sql', rows, cameras, rounds, processors: cpus().length, queries: figures, tables, columns }));
  } finally {
    await Promise.all([reader.close(), store.close()]);
    await chdb.stop();
    if (!values.data) rmSync(dataDir, { recursive: true, force: true });
  }
}
