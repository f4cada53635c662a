/** Puts mutated pictures through ingest, preprocess and infer, and prints a report: node --expose-gc hostile-images.ts SEED COUNT */
import { setImmediate as immediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { memoryBlobs } from '../../connectors/blobs/memory.ts';
import { memoryLog } from '../../connectors/memory/log.ts';
import { loadModels } from '../../connectors/models/repository.ts';
import type { LogRecord } from '../../connectors/ports.ts';
import { fileRegistry } from '../../connectors/registry/files.ts';
import { inferStage } from '../../processors/infer/infer.ts';
import { ingestStage } from '../../processors/ingest/ingest.ts';
import { preprocessConfig } from '../../processors/preprocess/config.ts';
import { plainJpeg } from '../../processors/preprocess/fast-jpeg/header.ts';
import { preprocessStage } from '../../processors/preprocess/preprocess.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { topology } from '../../processors/topology.ts';
import { frameIdFromProducer } from '../../schemas/ids.ts';
import type { Frame, Prediction } from '../../schemas/records.ts';
import { topicSpecs } from '../../schemas/topics.ts';
import { always, engineWith } from '../support/models.ts';
import { eventually, pipelineOn } from '../support/pipeline.ts';
import { mutants } from './mutants.ts';
import { fixedModels } from '../../schemas/model-set.ts';

export interface HostileReport {
  readonly count: number;
  /** Frames that every model answered. */
  readonly answered: number;
  /** Frames without an answer, by the reason that the predictions of all models give. */
  readonly refused: Readonly<Record<string, number>>;
  /** What should not be: a frame with another number of outcomes than models, with several endings, or without its dead letter. */
  readonly wrong: readonly string[];
  /** Mutants whose header still lets them take the fast way to decode, and those that are whole files of another type. */
  readonly fast: number;
  readonly strange: number;
  /** Bytes after each tenth, garbage collected: resident, and those that JavaScript holds. */
  readonly rss: readonly number[];
  readonly held: readonly number[];
}

const [seed, count] = process.argv.slice(2).map(Number) as [number, number];
const [tenant, source, parts] = ['default', 'hostile', 10];
const models = await loadModels(fileURLToPath(new URL('../../models', import.meta.url)), ['efficientnet-lite0', 'ultraface']);
const names = models.map(({ card }) => card.name);
const engine = await engineWith(models, systemClock);

// What is done with is let go at once: a log that fills up would look like a leak.
const log = memoryLog({ retainBytesPerTopic: 1024 * 1024 });
const registry = fileRegistry();
const topics = topicSpecs(names, { partitions: 2, replication: 1, minInSync: 1, maxRecordBytes: 8 * 1024 * 1024 });
await log.ensureTopics(topics);
await registry.prepare(topics);
const blobs = memoryBlobs();
const unused = (): never => {
  throw new TypeError('not part of this pipeline');
};
const steps = topology(['ingest', 'preprocess', 'infer'], models, {
  ingest: () => ({ 'frames.in': ingestStage({ rules: { maxImageBytes: 4e6, claimCheckBytes: 4e6, models: names, blobs }, tenant }) }),
  preprocess: () => preprocessStage({ models: fixedModels(models), blobs, limits: preprocessConfig.parse({ maxPixels: 3_000_000 }), clock: systemClock }),
  overflow: () => (preprocess) => ({ ...preprocess, name: 'preprocess.overflow' }),
  infer: () => (model) => inferStage({ serving: always(model), engine, clock: systemClock }),
  sink: unused,
  keep: unused,
  drift: unused,
});
const pipeline = await pipelineOn(log, steps, { registry, blobs, fuse: [['preprocess', 'infer']] });

const outcomes = new Map<string, Prediction[]>();
/** By the frame's id. */
const letters = new Map<string, { readonly code: string; readonly bytes: Buffer }>();
const codeOf = ({ headers }: LogRecord): string => String(headers['saccade-error-code']);

async function read(topic: string, each: (value: Buffer, record: LogRecord) => Promise<void>): Promise<void> {
  let before = Promise.resolve();
  const consumer = await log.consumer({
    group: `judge.${topic}`,
    topics: [topic],
    from: 'earliest',
    maxBytes: 1e8,
    maxBytesPerPartition: 1e8,
    handlers: {
      assigned() {},
      records: (generation, at, records) => {
        for (const record of records) before = before.then(() => each(record.value!, record));
        // The log holds what is not committed: it would be what grows.
        before = before.then(async () => void (await consumer.commit(generation, [{ ...at, offset: records.at(-1)!.offset + 1 }])));
      },
    },
  });
}
await read('predictions', async (value) => {
  const prediction = (await registry.decode('predictions', value)) as Prediction;
  outcomes.set(prediction.frame_id, [...(outcomes.get(prediction.frame_id) ?? []), { ...prediction, embedding: null }]);
});
await read('frames.in.dlq', async (bytes, record) => void letters.set(frameIdFromProducer(tenant, source, String(record.headers.id)), { code: codeOf(record), bytes }));
await read('frames.dlq', async (value, record) => {
  const { id, image } = (await registry.decode('frames', value)) as Frame;
  letters.set(id, { code: codeOf(record), bytes: image! });
});

const producer = await log.producer();
const refused: Record<string, number> = {};
const wrong: string[] = [];
const [rss, held]: [number[], number[]] = [[], []];
let [answered, fast, strange, sent] = [0, 0, 0, 0];

function judge({ what, bytes, frame }: { readonly what: string; readonly bytes: Buffer; readonly frame: string }): void {
  const found = outcomes.get(frame)!;
  const letter = letters.get(frame);
  const endings = new Set(found.map(({ status, reason }) => (status === 'ok' ? 'ok' : `${status} ${reason}`)));
  const right = found.length === models.length && new Set(found.map(({ model }) => model)).size === models.length && endings.size === 1;
  const [ending] = endings;
  if (right && ending === 'ok' && !letter) answered++;
  else if (right && letter?.bytes.equals(bytes) && ending === `dead_lettered ${letter.code}`) refused[letter.code] = (refused[letter.code] ?? 0) + 1;
  else wrong.push(`${what}: ${found.length} outcomes, ${[...endings].join(', ')}; dead letter ${letter?.code}`);
}

await pipeline.start();
const make = await mutants(seed);
for (let part = 0; part < parts; part++) {
  const batch = Array.from({ length: count / parts }, () => ({ ...make(), id: `mutant-${sent++}` }));
  for (const { bytes, whole } of batch) {
    if (plainJpeg(bytes)) fast++;
    if (whole) strange++;
  }
  await producer.send(batch.map(({ id, bytes }) => ({ topic: 'frames.in', key: source, value: bytes, headers: { id } })));
  const frames = batch.map((one) => ({ ...one, frame: frameIdFromProducer(tenant, source, one.id) }));
  await eventually(() => frames.every(({ frame }) => (outcomes.get(frame)?.length ?? 0) >= models.length), `the outcomes of part ${part}`, 120_000);
  // An outcome and its dead letter are two records: the second may be under way.
  const dead = frames.filter(({ frame }) => outcomes.get(frame)!.some(({ status }) => status !== 'ok'));
  await eventually(() => dead.every(({ frame }) => letters.has(frame)), `the dead letters of part ${part}`);
  frames.forEach(judge);
  outcomes.clear();
  letters.clear();
  // What is freed outside of V8's heap is counted off a turn later.
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.();
    await immediate();
  }
  const used = process.memoryUsage();
  rss.push(used.rss);
  held.push(used.heapUsed + used.external);
}
console.log(JSON.stringify({ count: sent, answered, refused, wrong, fast, strange, rss, held } satisfies HostileReport));
await pipeline.stop(5_000);
await engine.close();
await log.close();
process.exit(0);
