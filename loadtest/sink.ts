/**
 * Predictions through the sink's own path: the record decoded, encoded as a row, stored by the embedded ClickHouse; and each
 * part alone, beside rows as JSON. Rows a second as the clock says, and microseconds of processor time a row, of this process
 * and of ClickHouse (which merges meanwhile): on a machine that does other things too only the latter can be compared.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Chdb, startChdb } from '../connectors/chdb/start.ts';
import { rowBinary } from '../connectors/clickhouse/row-binary.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { sinkConfig } from '../processors/sink/config.ts';
import { columns, table } from '../processors/sink/row.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { sinkStage } from '../processors/sink/sink.ts';
import type { Input } from '../processors/stage.ts';
import { predictionId } from '../schemas/ids.ts';
import type { Prediction } from '../schemas/records.ts';
import { topicSpecs } from '../schemas/topics.ts';

const floats = 1280;
const batch = sinkConfig.parse({});
const signal = new AbortController().signal;

let made = 0;
/** Ids as random as hashes are, boxes and numbers that do not compress; the same in every run. */
export function prediction(embedding: boolean): Prediction {
  const n = ++made;
  const random = createHash('sha256').update(`${n}`).digest();
  const hex = random.toString('hex');
  const frame_id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  const model = n % 2 === 0 ? 'nanodet' : 'efficientnet-lite0';
  const at = 1_750_000_000_000 + n * 20;
  const of = (i: number, most: number): number => Math.fround((random.readUInt16LE((i * 2) % 30) / 65_536) * most);
  return {
    id: predictionId(frame_id, model),
    frame_id,
    tenant: 'default',
    source: `camera-${n % 20}`,
    sequence: n,
    captured_at: at,
    accepted_at: at + 12,
    completed_at: at + 40 + (n % 90),
    status: 'ok',
    stage: null,
    reason: null,
    detail: null,
    model,
    version: '1',
    fallback_for: null,
    task: 'detect',
    image_width: 640,
    image_height: 480,
    labels: [],
    detections: Array.from({ length: n % 5 }, (_, i) => ({ class_id: (n * 7 + i) % 80, label: `label-${(n * 7 + i) % 80}`, score: of(i, 1), x1: of(i + 1, 640), y1: of(i + 2, 480), x2: of(i + 3, 640), y2: of(i + 4, 480) })),
    embedding: embedding ? Buffer.from(Float32Array.from({ length: floats }, (_, i) => of(i, 2) - 1 + i / 1e6).buffer) : null,
    quality: { luma: of(1, 255), contrast: of(2, 100), sharpness: of(3, 1000), saturation: of(4, 1), entropy: of(5, 8) },
    timings_ms: { queue: of(4, 3), decode: of(5, 5), infer: of(6, 20) },
    request_id: null,
    cached: false,
    picture: { content_type: 'image/jpeg', size: 48_000, claim: null, place: { topic: 'frames', partition: 3, offset: 70_000 } },
  };
}

const inputOf = (value: Prediction, bytes: number, offset: number): Input<Prediction> => ({
  value,
  key: value.source,
  headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
  origin: { cluster: 'bench', topic: 'predictions', partition: 0, offset, timestamp: 0 },
  bytes,
  receivedAt: 0,
  attempt: 1,
});

interface Figure {
  readonly rows_per_s: number;
  readonly own_us: number;
  readonly clickhouse_us: number;
}

/** Clock ticks are 10 ms on Linux. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function measure(chdb: Chdb, rows: number, work: () => Promise<unknown>): Promise<Figure> {
  const [cpu, child, startedAt] = [process.cpuUsage(), cpuMsOf(chdb.pid), performance.now()];
  await work();
  const ms = performance.now() - startedAt;
  const own = process.cpuUsage(cpu);
  return { rows_per_s: Math.round((rows / ms) * 1000), own_us: (own.user + own.system) / rows, clickhouse_us: ((cpuMsOf(chdb.pid) - child) * 1000) / rows };
}

function batchesOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** As many batches under way as the runtime would have. */
async function inTurn<T>(batches: readonly T[], work: (batch: T) => Promise<void>): Promise<void> {
  const left = [...batches];
  await Promise.all(Array.from({ length: batch.concurrency }, async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next);
  }));
}

async function round(chdb: Chdb, rows: number, embedding: boolean): Promise<Record<string, Figure>> {
  const store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
  const registry = fileRegistry();
  await registry.prepare(topicSpecs([], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 8_000_000 }));
  const stage = sinkStage({ store, clock: systemClock, batch });
  await stage.start!();
  const records = await Promise.all(Array.from({ length: rows }, () => registry.encode('predictions', prediction(embedding))));
  const values = (await Promise.all(records.map((bytes) => registry.decode('predictions', bytes)))) as Prediction[];
  const items = values.map((value) => ({ prediction: value, headers: {} }));
  const { encode } = rowBinary(columns);
  const insert = store.inserter(table, columns);
  const size = Math.min(batch.records, Math.floor(batch.bytes / records[0]!.length));
  // As text an embedding is five times as long, and a request has a limit.
  const asJson = items.slice(0, Math.min(size, 500)).map((item) => Object.fromEntries(columns.map(({ name, of }) => {
    const value = of(item);
    return [name, Buffer.isBuffer(value) ? [...new Float32Array(value.buffer.slice(value.byteOffset, value.byteOffset + value.length))] : value];
  })));
  const figures = {
    decode: await measure(chdb, rows, () => Promise.all(records.map((bytes) => registry.decode('predictions', bytes)))),
    encode: await measure(chdb, rows, async () => batchesOf(items, 500).forEach(encode)),
    insert: await measure(chdb, rows, () => inTurn(batchesOf(items, size), insert)),
    insert_json: await measure(chdb, asJson.length, () => store.insert(table, asJson)),
    whole: await measure(chdb, rows, () =>
      inTurn(batchesOf(records, size), async (some) => {
        const decoded = (await Promise.all(some.map((bytes) => registry.decode('predictions', bytes)))) as Prediction[];
        const outcomes = await stage.process(decoded.map((value, i) => inputOf(value, some[i]!.length, i)), signal);
        if (outcomes.some(({ kind }) => kind !== 'emit')) throw new SaccadeError('internal', 'Rows were refused.');
      }),
    ),
  };
  await store.command(`TRUNCATE TABLE ${table}`);
  await store.close();
  return figures;
}

const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

export async function sink(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { rows: { type: 'string', default: '40000' }, rounds: { type: 'string', default: '3' } } });
  const [rows, rounds] = [Number(values.rows), Number(values.rounds)];
  if (!Number.isInteger(rows) || rows < 1000 || !Number.isInteger(rounds) || rounds < 1) {
    throw new SaccadeError('invalid_config', `--rows is a whole number from 1000 on and --rounds one from 1 on, not ${values.rows} and ${values.rounds}.`);
  }
  const dataDir = mkdtempSync(join(tmpdir(), 'saccade-bench-sink-'));
  const chdb = await startChdb({ dataDir });
  const summary: Record<string, unknown> = {};
  try {
    const found: Record<string, Record<string, Figure>[]> = { without_embeddings: [], with_embeddings: [] };
    for (let at = 0; at <= rounds; at++) {
      for (const [kind, figures] of Object.entries(found)) {
        const embedding = kind === 'with_embeddings';
        const figure = await round(chdb, embedding ? Math.ceil(rows / 10) : rows, embedding);
        // The first one warms up.
        if (at > 0) figures.push(figure);
        process.stderr.write(`${at === 0 ? 'warm-up' : `round ${at} of ${rounds}`}: ${kind}\n`);
      }
    }
    for (const [kind, figures] of Object.entries(found)) {
      const parts = Object.fromEntries(
        Object.keys(figures[0]!).map((part) => {
          const of = figures.map((figure) => figure[part]!);
          const perSecond = of.map((figure) => figure.rows_per_s);
          const [own, clickhouse] = [middle(of.map((figure) => figure.own_us)), middle(of.map((figure) => figure.clickhouse_us))];
          return [part, { rows_per_s: middle(perSecond), least: Math.min(...perSecond), most: Math.max(...perSecond), own_us: Math.round(own * 10) / 10, clickhouse_us: Math.round(clickhouse * 10) / 10 }];
        }),
      );
      console.log(`\n${kind.replace('_', ' ')}`);
      console.table(parts);
      summary[kind] = parts;
    }
  } finally {
    await chdb.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
  console.log(JSON.stringify({ bench: 'sink', rows, rounds, batch: batch.records, floats, ...summary }));
}
