/** What tests of the log share: topics of their own, a Kafka log, kcat, and waiting for what a consumer is told. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { kafkaLog, type KafkaLogger } from '../../connectors/kafka/log.ts';
import type { ConsumerOptions, Log, LogConsumer, LogRecord, OutgoingRecord, TopicPartition, TopicSpec } from '../../connectors/ports.ts';
import { hasProgram, kafkaBrokers, skipUnless } from './components.ts';

export const silent: KafkaLogger = { debug() {}, info() {}, warn() {}, error() {} };

/** A log on the Kafka that `npm test` started. */
export const testKafkaLog = (): Log => kafkaLog({ brokers: kafkaBrokers ?? [], clientId: 'saccade-test', log: silent });

export const uniqueName = (what: string): string => `test-${what}-${randomUUID().slice(0, 8)}`;

export const testTopic = (overrides: Partial<TopicSpec> = {}): TopicSpec => ({
  name: uniqueName('topic'),
  schema: null,
  plainBytes: true,
  partitions: 4,
  replication: 1,
  minInSync: 1,
  retentionMs: 3_600_000,
  maxRecordBytes: 8 * 1024 * 1024,
  ...overrides,
});

export const outgoing = (topic: string, key: string | null, value: string | Buffer | null, more: Partial<OutgoingRecord> = {}): OutgoingRecord => ({
  topic,
  key,
  value: typeof value === 'string' ? Buffer.from(value) : value,
  ...more,
});

/** A member of a group and all it was told, in order. */
export interface Watched {
  readonly consumer: LogConsumer;
  readonly records: LogRecord[];
  readonly generations: { readonly generation: number; readonly partitions: readonly TopicPartition[] }[];
  generation(): number;
  partitions(): readonly TopicPartition[];
  values(): string[];
}

export async function watch(log: Log, options: Partial<ConsumerOptions> & Pick<ConsumerOptions, 'group' | 'topics'>): Promise<Watched> {
  const records: LogRecord[] = [];
  const generations: { generation: number; partitions: readonly TopicPartition[] }[] = [];
  const consumer = await log.consumer({
    from: 'earliest',
    maxBytes: 16 * 1024 * 1024,
    maxBytesPerPartition: 1024 * 1024,
    handlers: {
      assigned: (generation, partitions) => void generations.push({ generation, partitions }),
      records: (_generation, _source, batch) => void records.push(...batch),
    },
    ...options,
  });
  return {
    consumer,
    records,
    generations,
    generation: () => generations.at(-1)?.generation ?? 0,
    partitions: () => generations.at(-1)?.partitions ?? [],
    values: () => records.map(({ value }) => String(value)),
  };
}

/** Resolves when the condition holds; the limit only ends a test that would wait for ever. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, limitMs = 40_000): Promise<void> {
  for (const end = Date.now() + limitMs; !(await condition()); await sleep(10)) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
  }
}

export const hasKcat = hasProgram('kcat', '-V');
export const needsKcat = skipUnless(hasKcat, 'kcat', 'apt-get install kcat');

/** Runs kcat, a client of another make (librdkafka), by default against the test's Kafka. */
export async function kcat(args: readonly string[], stdin: Buffer | string = '', brokers: readonly string[] = kafkaBrokers ?? []): Promise<void> {
  const child = spawn('kcat', ['-b', brokers.join(','), ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk) => (complaint += String(chunk)));
  child.stdin.end(stdin);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`kcat ${args.join(' ')} exited with ${code}: ${complaint}`);
}
