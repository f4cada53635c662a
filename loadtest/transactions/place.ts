/** The Kafka that is measured: the one the settings name, else one started for the bench; its topics and groups go at the end. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SaccadeError } from '../../connectors/errors.ts';
import { kafkaClient } from '../../connectors/kafka/client.ts';
import { kafkaLog, type KafkaOptions } from '../../connectors/kafka/log.ts';
import type { Log } from '../../connectors/ports.ts';
import { fetchJars, findJavaTools } from '../../deploy/local/jars.mjs';
import { type LocalKafka, startKafka } from '../../deploy/local/kafka.ts';
import { readConfig } from '../../processors/config.ts';
import { kafkaOptions } from '../../processors/connect.ts';
import { runtimeLimits } from '../../processors/limits.ts';
import type { RuntimeLimits } from '../../processors/runtime/runner.ts';

export interface Place {
  readonly options: KafkaOptions;
  readonly log: Log;
  readonly limits: RuntimeLimits;
  /** A topic of the bench's own. */
  topic(name: string): Promise<string>;
  /** The name of a group that nobody had before. */
  group(name: string): string;
  /** A transactional id that nobody had before. */
  transactionalId(name: string): string;
}

export const partitions = 4;
const silent = { debug() {}, info() {}, warn() {}, error() {} };
export const say = (line: string): void => void process.stderr.write(`${line}\n`);

export async function withPlace<T>(measure: (place: Place) => Promise<T>): Promise<T> {
  const { settings } = readConfig([], process.env);
  const folder = mkdtempSync(join(tmpdir(), 'saccade-bench-'));
  let own: LocalKafka | null = null;
  let log: Log | null = null;
  let options: KafkaOptions | null = null;
  const [topics, groups]: [string[], string[]] = [[], []];
  try {
    own = settings.KAFKA_BROKERS ? null : await startOwn(folder);
    options = kafkaOptions(settings, settings.KAFKA_BROKERS ?? own!.brokers, 'saccade-bench', silent);
    const open = (log = kafkaLog(options));
    const replication = { replication: settings.SACCADE_REPLICATION, minInSync: Math.min(2, settings.SACCADE_REPLICATION) };
    const unique = (name: string): string => `saccade-bench-${randomUUID().slice(0, 8)}.${name}`;
    const place: Place = {
      options,
      log: open,
      limits: runtimeLimits(settings),
      async topic(name) {
        const topic = unique(name);
        await open.ensureTopics([{ name: topic, schema: null, plainBytes: true, partitions, ...replication, retentionMs: 3_600_000, maxRecordBytes: 1024 * 1024 }]);
        topics.push(topic);
        return topic;
      },
      group(name) {
        const group = unique(name);
        groups.push(group);
        return group;
      },
      transactionalId: unique,
    };
    return await measure(place);
  } finally {
    await log?.close();
    if (options && !own && topics.length > 0) await remove(options, topics, groups);
    await own?.child.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  }
}

async function startOwn(folder: string): Promise<LocalKafka> {
  const tools = findJavaTools();
  if ('missing' in tools) throw new SaccadeError('invalid_config', `The bench needs Kafka: install ${tools.missing}, or set KAFKA_BROKERS.`);
  const jars = await fetchJars(tools, say);
  return startKafka({ java: tools.java, classpath: jars.kafka, folder: join(folder, 'kafka') });
}

async function remove(options: KafkaOptions, topics: string[], groups: string[]): Promise<void> {
  const admin = kafkaClient(options).admin();
  try {
    await admin.connect();
    await admin.deleteTopics({ topics });
    await admin.deleteGroups(groups);
  } catch (error) {
    say(`The topics and groups saccade-bench-… could not all be removed: ${(error as Error).message}`);
  } finally {
    await admin.disconnect();
  }
}
