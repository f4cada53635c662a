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
import { savedQueries } from '../../processors/sql/saved.ts';
import { tenantViews } from '../../processors/sql/views.ts';
import { storeYear } from './year.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Of each table: rows, bytes a row on disk, and how much smaller than unpacked. */
const sizes = `SELECT table, sum(parts.rows) AS row_count, count() AS part_count, round(sum(bytes_on_disk) / row_count, 1) AS bytes_a_row, round(sum(data_uncompressed_bytes) / sum(data_compressed_bytes), 2) AS compression
  FROM system.parts AS parts WHERE database = currentDatabase() AND active GROUP BY table ORDER BY sum(bytes_on_disk) DESC`;
const columnSizes = `SELECT column, round(sum(column_data_compressed_bytes) / sum(rows), 2) AS bytes_a_row, round(sum(column_data_uncompressed_bytes) / sum(column_data_compressed_bytes), 2) AS compression
  FROM system.parts_columns WHERE database = currentDatabase() AND table = 'predictions_raw' AND active GROUP BY column HAVING bytes_a_row >= 0.1 ORDER BY bytes_a_row DESC`;

async function fill(store: Store, rows: number, cameras: number): Promise<void> {
  const until = Date.now();
  await store.migrate();
  let next = 0;
  // What was kept is not made again; the rollups are what they should be at once.
  await storeYear(store, { rows, cameras, until }, (done) => {
    if (done < next) return;
    say(`${done} of ${rows} rows stored`);
    next = done + rows / 10;
  });
  say('building the rollups');
  const startedAt = performance.now();
  await buildRollups(store, { until: Date.now() + 60_000, clock: { now: Date.now }, builder: 'bench', rowsAtOnce: 3_000_000 });
  say(`rollups built in ${Math.round((performance.now() - startedAt) / 1000)} s`);
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
    const filled = await store.query<{ n: number }>(`SELECT count() AS n FROM system.tables WHERE database = currentDatabase() AND name = 'predictions_raw'`).catch(() => []);
    await fill(store, filled[0]?.n ? 0 : rows, cameras);
    const ask = asking({ reader, views: tenantViews(store, 'saccade'), shown: 'saccade', limits: sqlLimits.parse({ seconds: 120 }) });
    const signal = new AbortController().signal;
    const found = new Map<string, number[]>();
    const answers = new Map<string, { rows: number; read: number; mb: number }>();
    for (let round = 0; round <= rounds; round++) {
      for (const query of savedQueries()) {
        if (values.only && !values.only.split(',').includes(query.name)) continue;
        const startedAt = performance.now();
        const { stream, summary } = await ask('default', { sql: query.sql, params: query.params, format: 'JSONCompact', signal });
        const answer = JSON.parse(await text(stream)) as { rows: number };
        const ms = performance.now() - startedAt;
        const { read_rows, read_bytes } = JSON.parse(summary ?? '{}') as { read_rows?: string; read_bytes?: string };
        answers.set(query.name, { rows: answer.rows, read: Number(read_rows ?? 0), mb: Math.round(Number(read_bytes ?? 0) / 1e6) });
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
