/** `npm run bench -- reads`: what GET /v1/predictions, /v1/results and /v1/stats ask of the store, by how much lies there; alone and beside writes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { columns, table } from '../processors/sink/row.ts';
import { quantile } from './quantiles.ts';
import { prediction } from './sink.ts';

const dayMs = 86_400_000;
const days = 30;
const weekMs = 7 * dayMs;

/** The last second of the last week (they begin on Mondays): a question about a day reads the whole of it. */
const endOfWeek = (): number => Math.floor((Date.now() - 4 * dayMs) / weekMs) * weekMs + 4 * dayMs - 1000;

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

/** What a fill leaves to merge goes on for seconds, and is not what is asked here. */
async function settled(store: Store): Promise<void> {
  for (;;) {
    const [merging] = await store.query<{ n: number }>('SELECT count() AS n FROM system.merges');
    if (merging!.n === 0) return;
    await sleep(100);
  }
}

type Questions = Readonly<Record<string, () => Promise<unknown>>>;

async function questionsOf(store: Store, now: number): Promise<Questions> {
  const ask = storeReader(store);
  const frames = await store.query<{ id: string }>('SELECT toString(frame_id) AS id FROM predictions_raw ORDER BY rand() LIMIT 100');
  const results = recentResults(systemClock);
  let asked = 0;
  const { next } = await historyOf('default', { limit: 50 }, { ask, now });
  return {
    'a page': () => historyOf('default', { limit: 50 }, { ask, now }),
    'the page behind it': () => historyOf('default', { limit: 50, cursor: next! }, { ask, now }),
    'a page of a source': () => historyOf('default', { limit: 50, source: 'camera-7' }, { ask, now }),
    'a page of a label, one day': () => historyOf('default', { limit: 50, label: 'class-9', min_score: 0.5, since: now - dayMs }, { ask, now }),
    'a page of a label, all time': () => historyOf('default', { limit: 50, label: 'class-9', min_score: 0.5 }, { ask, now }),
    'a page of what is not there': () => historyOf('default', { limit: 50, label: 'unicorn' }, { ask, now }),
    'a result': () => resultOf({ tenant: 'default', id: frames[asked++ % frames.length]!.id, model: 'nanodet', accepted: undefined }, { ask, results, now: () => now }),
    'statistics of a day': () => statsOf('default', { since: now - dayMs, until: now }, { ask, now, startedAt: now }),
  };
}

async function alone(question: () => Promise<unknown>, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let at = -2; at < count; at++) {
    const begun = performance.now();
    await question();
    if (at >= 0) times.push(performance.now() - begun);
  }
  return times;
}

/** Rows of the newest minute, in batches as the sink's, until the signal aborts. */
async function write(store: Store, perSecond: number, now: number, signal: AbortSignal): Promise<void> {
  const insert = store.inserter(table, columns);
  const everyMs = 100;
  while (!signal.aborted) {
    const begun = performance.now();
    const rows = Array.from({ length: Math.ceil((perSecond * everyMs) / 1000) }, (_, i) => {
      const at = now - 60_000 + ((Math.floor(begun) + i) % 60_000);
      return { prediction: { ...prediction(false), captured_at: at, accepted_at: at + 12, completed_at: at + 60 }, headers: {} };
    });
    await insert(rows);
    await sleep(Math.max(0, everyMs - (performance.now() - begun)), undefined, { signal }).catch(() => {});
  }
}

/** Each question in its turn, at moments that know nothing of each other (Poisson), whether or not those before are answered. */
async function together(questions: Questions, count: number, perSecond: number): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>(Object.keys(questions).map((name) => [name, []]));
  const under: Promise<void>[] = [];
  const begun = performance.now();
  let due = 0;
  for (let at = 0; at < count; at++) {
    for (const [name, question] of Object.entries(questions)) {
      due += -Math.log(1 - Math.random()) * (1000 / perSecond);
      await sleep(Math.max(0, begun + due - performance.now()));
      const since = begun + due;
      under.push(question().then(() => void times.get(name)!.push(performance.now() - since)));
    }
  }
  await Promise.all(under);
  return times;
}

export async function reads(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { rows: { type: 'string', default: '100000,1000000' }, count: { type: 'string', default: '20' }, writes: { type: 'string', default: '200' } } });
  const sizes = values.rows.split(',').map(Number);
  const [count, writes] = [Number(values.count), Number(values.writes)];
  if (![...sizes, count, writes].every((one) => Number.isInteger(one) && one > 0)) throw new Error('--rows takes whole numbers with commas between them, --count and --writes one.');
  const dataDir = await mkdtemp(join(tmpdir(), 'saccade-reads-'));
  const chdb = await startChdb({ dataDir });
  const store = clickhouseStore({ url: chdb.url, kind: 'chdb', timeoutMs: 600_000 });
  const figures: Record<string, Record<string, number>> = {};
  const note = (name: string, of: string, times: readonly number[]): void => {
    const row = (figures[name] ??= {});
    row[`${of}, p50`] = Math.round(quantile(times, 0.5));
    row[`${of}, p95`] = Math.round(quantile(times, 0.95));
  };
  try {
    await store.migrate();
    let there = 0;
    for (const size of sizes) {
      const now = endOfWeek();
      await fill(store, there, size - there, now);
      there = size;
      await buildRollups(store, { until: now, clock: systemClock, builder: 'bench' });
      await settled(store);
      const questions = await questionsOf(store, now);
      for (const [name, question] of Object.entries(questions)) note(name, `${size} rows`, await alone(question, count));
      if (size !== sizes.at(-1)) continue;
      const end = new AbortController();
      const writing = write(store, writes, now, end.signal);
      const found = await together(questions, count, 10);
      end.abort();
      await writing;
      for (const [name, times] of found) note(name, 'beside writes', times);
      note('all of them', 'beside writes', [...found.values()].flat());
    }
  } finally {
    await store.close();
    await chdb.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
  console.table(figures);
  console.log(JSON.stringify({ bench: 'reads', ms: figures }));
}
