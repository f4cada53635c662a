/** `npm run bench -- reads`: what GET /v1/predictions, /v1/results and /v1/stats ask of the store, by how much lies there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startChdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import type { Store } from '../connectors/ports.ts';
import { historyOf } from '../processors/edge/history/history.ts';
import { resultOf } from '../processors/edge/history/results.ts';
import { statsOf } from '../processors/edge/history/stats.ts';
import { recentResults } from '../processors/edge/recent-results.ts';
import { storeReader } from '../processors/edge/store-reader.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { buildRollups } from '../processors/sink/rollups/build.ts';
import { quantile } from './quantiles.ts';

const dayMs = 86_400_000;
const days = 30;

/** Rows of thirty days until now, of twenty sources: three boxes each, of eighty classes. Made where they are kept. */
async function fill(store: Store, from: number, rows: number, now: number): Promise<void> {
  await store.command(
    `INSERT INTO predictions_raw (id, frame_id, tenant, source, captured_at, accepted_at, completed_at, status, model, version, task, image_width, image_height,
       \`detections.class_id\`, \`detections.label\`, \`detections.score\`, \`detections.x1\`, \`detections.y1\`, \`detections.x2\`, \`detections.y2\`, timings_ms)
     SELECT generateUUIDv4(number), generateUUIDv4(number + 1), 'default', concat('camera-', toString(number % 20)),
       fromUnixTimestamp64Milli(toInt64({now:Int64} - {span:Int64} * (1 - number / {all:Float64}))) AS at, at, at + toIntervalMillisecond(20 + rand(1) % 100), 'ok', 'nanodet', '1', 'detection', 640, 480,
       [1, 2, 3], arrayMap(n -> concat('class-', toString((rand(2) + n * n * 7) % 80)), [1, 2, 3]), arrayMap(n -> toFloat32((rand(3) % 600 + n * 100) / 1000), [1, 2, 3]),
       [1., 1, 1], [2., 2, 2], [3., 3, 3], [4., 4, 4], map('decode', 2.5, 'infer', 12.)
     FROM numbers({from:UInt64}, {rows:UInt64})`,
    { now, span: days * dayMs, all: from + rows, from, rows },
  );
}

export async function reads(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { rows: { type: 'string', default: '100000,1000000' }, count: { type: 'string', default: '20' } } });
  const sizes = values.rows.split(',').map(Number);
  const count = Number(values.count);
  if (![...sizes, count].every((one) => Number.isInteger(one) && one > 0)) throw new Error('--rows takes whole numbers with commas between them, --count one.');
  const dataDir = await mkdtemp(join(tmpdir(), 'saccade-reads-'));
  const chdb = await startChdb({ dataDir });
  const store = clickhouseStore({ url: chdb.url, kind: 'chdb', timeoutMs: 600_000 });
  const table: Record<string, Record<string, number>> = {};
  try {
    await store.migrate();
    const ask = storeReader(store);
    let there = 0;
    for (const size of sizes) {
      const now = Date.now();
      await fill(store, there, size - there, now);
      there = size;
      await buildRollups(store, { until: now, clock: systemClock, builder: 'bench' });
      const frames = await store.query<{ id: string }>('SELECT toString(frame_id) AS id FROM predictions_raw ORDER BY rand() LIMIT 100');
      let asked = 0;
      const results = recentResults(systemClock);
      const { next } = await historyOf('default', { limit: 50 }, { ask, now });
      const questions: Record<string, () => Promise<unknown>> = {
        'a page': () => historyOf('default', { limit: 50 }, { ask, now }),
        'the page behind it': () => historyOf('default', { limit: 50, cursor: next! }, { ask, now }),
        'a page of a source': () => historyOf('default', { limit: 50, source: 'camera-7' }, { ask, now }),
        'a page of a label, one day': () => historyOf('default', { limit: 50, label: 'class-9', min_score: 0.5, since: now - dayMs }, { ask, now }),
        'a page of a label, all time': () => historyOf('default', { limit: 50, label: 'class-9', min_score: 0.5 }, { ask, now }),
        'a page of what is not there': () => historyOf('default', { limit: 50, label: 'unicorn' }, { ask, now }),
        'a result': () => resultOf({ tenant: 'default', id: frames[asked++ % frames.length]!.id, model: 'nanodet', accepted: undefined }, { ask, results, now: () => now }),
        'statistics of a day': () => statsOf('default', { since: now - dayMs, until: now }, { ask, now, startedAt: now }),
      };
      for (const [name, question] of Object.entries(questions)) {
        const times: number[] = [];
        for (let at = -2; at < count; at++) {
          const begun = performance.now();
          await question();
          if (at >= 0) times.push(performance.now() - begun);
        }
        (table[name] ??= {})[`${size} rows, p50`] = Math.round(quantile(times, 0.5));
        table[name][`${size} rows, p95`] = Math.round(quantile(times, 0.95));
      }
    }
  } finally {
    await store.close();
    await chdb.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
  console.table(table);
  console.log(JSON.stringify({ bench: 'reads', ms: table }));
}
