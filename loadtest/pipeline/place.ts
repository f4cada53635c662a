/** What a bench of the whole pipeline stands on: a Kafka, a registry and a ClickHouse of its own, the topics, the pictures. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clickhouseStore } from '../../connectors/clickhouse/store.ts';
import { SaccadeError } from '../../connectors/errors.ts';
import { kafkaLog } from '../../connectors/kafka/log.ts';
import type { Log, LogProducer, Store } from '../../connectors/ports.ts';
import { type Stack, startStack } from '../../deploy/local/stack.ts';
import { recordLimitBytes, topicSpecs } from '../../schemas/topics.ts';
import { makePictures, partitions } from './frames.ts';

export interface BenchPlace {
  readonly folder: string;
  readonly stack: Stack;
  readonly log: Log;
  readonly producer: LogProducer;
  readonly store: Store;
  readonly pictures: readonly Buffer[];
  /** Settings by which a process of the pipeline joins. */
  readonly env: Readonly<Record<string, string>>;
  /** Servers whose CPU a run uses too. */
  readonly servers: Stack['children'];
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** `model`: NAME@VERSION. `topics`: more of them, made like frames.in. All is gone when `work` has ended. */
export async function withPlace(model: string, topics: readonly string[], say: (line: string) => void, work: (place: BenchPlace) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-bench-'));
  const stack = await startStack({ dataDir: folder, say });
  try {
    if (stack.kafka.kind === 'memory') throw new SaccadeError('invalid_config', 'The bench needs Kafka: install Java 17 and Maven.');
    const log = kafkaLog({ brokers: stack.kafka.brokers, clientId: 'saccade-bench', log: silent });
    const specs = topicSpecs([model.split('@')[0]!], { partitions, replication: 1, minInSync: 1, maxRecordBytes: recordLimitBytes });
    await log.ensureTopics([...specs, ...topics.map((name) => ({ ...specs[0]!, name }))]);
    const store = clickhouseStore({ ...stack.clickhouse!, database: 'saccade', kind: 'chdb' });
    try {
      await store.migrate();
      const env = {
        KAFKA_BROKERS: stack.kafka.brokers.join(','),
        SCHEMA_REGISTRY_URL: stack.registry.url!,
        CLICKHOUSE_URL: stack.clickhouse!.url,
        SACCADE_MODELS: model,
        // All its frames are there at once: that is the load here, not a flood.
        SACCADE_QUOTA_FPS: '0',
        SACCADE_PARTITIONS: String(partitions),
        SACCADE_BLOBS_DIR: join(folder, 'blobs'),
      };
      const servers = stack.children.filter(({ name }) => /kafka|chdb/.test(name));
      await work({ folder, stack, log, producer: await log.producer(), store, pictures: await makePictures(join(folder, 'pictures')), env, servers });
    } finally {
      await store.close();
      await log.close();
    }
  } finally {
    await stack.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  }
}
