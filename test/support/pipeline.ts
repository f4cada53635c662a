/** A pipeline on the in-process log, for tests that judge by what came out. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { memoryLog } from '../../connectors/memory/log.ts';
import type { Log, LogRecord, SchemaRegistry, TopicSpec } from '../../connectors/ports.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { runtimeMetrics } from '../../processors/runtime/metrics.ts';
import { createPipeline, type Pipeline, type PipelineOptions } from '../../processors/runtime/pipeline.ts';
import type { Step } from '../../processors/runtime/wiring.ts';
import type { Input, Outcome, Stage } from '../../processors/stage.ts';

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** JSON instead of Avro: these tests are about the runtime, not about schemas. A value that is not JSON is undecodable. */
export const jsonRegistry: SchemaRegistry = {
  kind: 'files',
  async prepare() {},
  encode: async (_topic, value) => Buffer.from(JSON.stringify(value)),
  decode: async (_topic, bytes) => JSON.parse(bytes.toString()),
};

export const topicSpec = (name: string, partitions = 4): TopicSpec => ({
  name,
  schema: null,
  plainBytes: false,
  partitions,
  replication: 1,
  minInSync: 1,
  retentionMs: 3_600_000,
  maxRecordBytes: 1024 * 1024,
});

export async function logWith(...topics: string[]): Promise<Log> {
  const log = memoryLog();
  await log.ensureTopics(topics.flatMap((name) => [topicSpec(name), topicSpec(`${name}.dlq`)]));
  return log;
}

export interface Item {
  readonly source: string;
  readonly n: number;
}

/** `count` items of each source, in order. */
export async function offer(log: Log, topic: string, sources: readonly string[], count: number, from = 0): Promise<void> {
  const producer = await log.producer();
  for (let n = from; n < from + count; n++) {
    await producer.send(sources.map((source) => ({ topic, key: source, value: Buffer.from(JSON.stringify({ source, n } satisfies Item)) })));
  }
  await producer.close();
}

export function step(stage: Partial<Stage<Item>> & Pick<Stage<Item>, 'name' | 'process'>, from: string, to: Record<string, string>): Step {
  const whole: Stage<Item> = { batch: { records: 8, bytes: 1e9, waitMs: 0, concurrency: 4 }, ...stage };
  return { stage: whole as unknown as Stage<never>, from, group: `g.${stage.name}`, to };
}

/** Passes every item on to `output`, after a pause that differs by record. */
export const passOn =
  (output: string, pauseMs: (item: Item) => number = () => 0) =>
  async (batch: readonly Input<Item>[]): Promise<Outcome[]> =>
    Promise.all(
      batch.map(async ({ value, key }): Promise<Outcome> => {
        const pause = pauseMs(value);
        if (pause > 0) await sleep(pause);
        return { kind: 'emit', records: [{ output, key, value }] };
      }),
    );

export async function pipelineOn(log: Log, steps: readonly Step[], options: Partial<PipelineOptions> = {}): Promise<Pipeline> {
  return createPipeline({
    steps,
    fuse: [],
    log,
    producer: await log.producer(),
    registry: jsonRegistry,
    clock: systemClock,
    metrics: runtimeMetrics(new Registry()),
    logger: () => quiet,
    limits: { inFlightBytes: 1e8, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1e6, commitIntervalMs: 5 },
    ...options,
  });
}

/** Everything that lies in a topic now, by partition in offset order. */
export async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  const ends = await log.endOffsets(topic);
  const wanted = ends.reduce((sum, end) => sum + end.offset, 0);
  const found: LogRecord[] = [];
  const consumer = await log.consumer({
    group: `read.${Math.random()}`,
    topics: [topic],
    from: 'earliest',
    maxBytes: 1e8,
    maxBytesPerPartition: 1e8,
    handlers: { assigned() {}, records: (_generation, _source, records) => void found.push(...records) },
  });
  await eventually(() => found.length >= wanted, `all ${wanted} records of ${topic}`);
  await consumer.close();
  return found.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}

export const itemOf = (record: LogRecord): Item => JSON.parse(record.value!.toString());

/** Waits for a condition; the limit is generous because it only matters when the test has failed. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string, limitMs = 20_000): Promise<void> {
  const until = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > until) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await sleep(5);
  }
}

export async function caughtUp(log: Log, group: string, topic: string): Promise<boolean> {
  const done = new Map((await log.committed(group, topic)).map((p) => [p.partition, p.offset]));
  return (await log.endOffsets(topic)).every((end) => end.offset === 0 || (done.get(end.partition) ?? 0) >= end.offset);
}
