/** Every stage as a process of its own on a Kafka, a registry and a store that the bench starts and ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SaccadeError } from '../../connectors/errors.ts';
import { kafkaLog } from '../../connectors/kafka/log.ts';
import type { Log, LogProducer, SchemaRegistry } from '../../connectors/ports.ts';
import { confluentRegistry } from '../../connectors/registry/confluent.ts';
import { startStack } from '../../deploy/local/stack.ts';
import { type StageProcess, startStage } from '../stage-process.ts';

export interface Fleet {
  readonly processes: readonly StageProcess[];
  readonly log: Log;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
}

export const model = 'nanodet';
const silent = { debug() {}, info() {}, warn() {}, error() {} };
export const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** One inference worker: what there is to be behind of must be little, so that a machine of few cores can send ten times as much. */
export async function withFleet<T>(env: Readonly<Record<string, string>>, measure: (fleet: Fleet) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-pressure-'));
  const stack = await startStack({ dataDir: folder, say });
  const processes: StageProcess[] = [];
  let log: Log | null = null;
  try {
    if (stack.kafka.kind === 'memory') throw new SaccadeError('invalid_config', 'The bench needs Kafka: install Java 17 and Maven.');
    for (const stage of ['ingest', 'preprocess', 'infer', 'sink']) {
      processes.push(
        await startStage(stage, {
          KAFKA_BROKERS: stack.kafka.brokers.join(','),
          SCHEMA_REGISTRY_URL: stack.registry.url!,
          CLICKHOUSE_URL: stack.clickhouse!.url,
          SACCADE_MODELS: model,
          SACCADE_CACHE: 'off',
          SACCADE_INFER_WORKERS: '1',
          SACCADE_BLOBS_DIR: join(folder, 'blobs'),
          SACCADE_DATA: join(folder, stage),
          ...env,
        }),
      );
    }
    log = kafkaLog({ brokers: stack.kafka.brokers, clientId: 'saccade-bench', log: silent });
    return await measure({ processes, log, producer: await log.producer(), registry: confluentRegistry({ url: stack.registry.url! }) });
  } finally {
    await log?.close();
    await Promise.all(processes.map((one) => one.stop()));
    await stack.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  }
}
