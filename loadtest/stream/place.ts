/** Where the streams are measured: an edge as a process of its own, the rest of the pipeline as another, on a Kafka, a registry and a store that the bench starts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SaccadeError } from '../../connectors/errors.ts';
import { startStack } from '../../deploy/local/stack.ts';
import { type StageProcess, startStage } from '../stage-process.ts';

export interface Place {
  readonly edge: StageProcess;
  readonly pipeline: StageProcess;
}

export const say = (line: string): void => void process.stderr.write(`${line}\n`);

export async function withPlace<T>(model: string, measure: (place: Place) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-stream-'));
  const stack = await startStack({ dataDir: folder, say });
  const processes: StageProcess[] = [];
  const start = async (stages: string): Promise<StageProcess> => {
    const one = await startStage(stages, {
      KAFKA_BROKERS: stack.kafka.brokers.join(','),
      SCHEMA_REGISTRY_URL: stack.registry.url!,
      CLICKHOUSE_URL: stack.clickhouse!.url,
      SACCADE_MODELS: model,
      SACCADE_BLOBS_DIR: join(folder, 'blobs'),
      SACCADE_DATA: join(folder, stages.replaceAll(',', '-')),
    });
    processes.push(one);
    return one;
  };
  try {
    if (stack.kafka.kind === 'memory') throw new SaccadeError('invalid_config', 'The bench needs Kafka: install Java 17 and Maven.');
    const pipeline = await start('ingest,preprocess,infer,sink');
    return await measure({ pipeline, edge: await start('edge') });
  } finally {
    await Promise.all(processes.map((one) => one.stop()));
    await stack.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  }
}
