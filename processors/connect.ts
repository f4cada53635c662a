/** Picks the concrete connectors: what is given, what already runs on this data folder, or an embedded stack of our own. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { SASLOptions } from 'kafkajs';
import { folderBlobs } from '../connectors/blobs/folder.ts';
import { memoryCache } from '../connectors/cache/memory.ts';
import { redisCache } from '../connectors/cache/redis.ts';
import { clickhouseReader } from '../connectors/clickhouse/reader.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { type KafkaLogger, kafkaLog, type KafkaOptions } from '../connectors/kafka/log.ts';
import { type KafkaAdmin, kafkaAdmin } from '../connectors/kafka/admin.ts';
import type { Metadata } from '../connectors/metadata-port.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import { folderJournal } from '../connectors/journal/folder.ts';
import type { BlobStore, Cache, Log, SchemaRegistry, Store, StoreReader, TopicSpec, WorkJournal } from '../connectors/ports.ts';
import { openMetadata } from '../connectors/postgres/metadata.ts';
import { readSealingKey, sealingKeyForm } from '../connectors/postgres/sealing.ts';
import { confluentRegistry } from '../connectors/registry/confluent.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { identify, isAlive } from '../deploy/local/process-birth.ts';
import { readRunFile, type RunFile } from '../deploy/local/run-file.ts';
import { type Purpose, startPostgres } from '../deploy/local/postgres.ts';
import { localSealingKey } from '../deploy/local/sealing-key.ts';
import { type Stack, startStack } from '../deploy/local/stack.ts';
import type { Config } from './config.ts';
import type { Place } from './joining.ts';
import { systemClock } from './runtime/clock.ts';
import type { Settings } from './settings.ts';

/** Throws invalid_config when the folder is another pipeline's and cannot be joined. */
export async function connect(config: Config, data: string, { running, locked }: Place, say: (line: string) => void): Promise<Stack> {
  const s = config.settings;
  if (running && !config.given.has('SACCADE_STAGES')) {
    throw new SaccadeError('invalid_config', `Saccade already runs on ${data} (pid ${running.pid}${running.edge ? `, ${running.edge.url}` : ''}). Add a stage with --stages, or set SACCADE_DATA to another folder.`);
  }
  if (running?.kafka.kind === 'memory' && !s.KAFKA_BROKERS) {
    throw new SaccadeError('invalid_config', `The pipeline on ${data} (pid ${running.pid}) keeps its log in its own memory: no other process can join it. Install Java 17 and Maven, or set KAFKA_BROKERS.`);
  }
  if (running) say(`joining the pipeline of pid ${running.pid} on ${data}`);
  return startStack({
    dataDir: data,
    kafkaBrokers: s.KAFKA_BROKERS ?? running?.kafka.brokers,
    registryUrl: s.SCHEMA_REGISTRY_URL ?? running?.registry.url ?? undefined,
    // With a Kafka of their own, processes without a sink need no store: only a whole local pipeline gets one unasked.
    clickhouse: storeAt(s, running) ?? (s.KAFKA_BROKERS && !s.SACCADE_STAGES.includes('sink') ? null : undefined),
    locked,
    say,
  });
}

/** The store that is given, or that of the pipeline that runs; its password is not in run.json, it comes from our own environment. */
export function storeAt(s: Settings, running: RunFile | null): { readonly url: string; readonly username: string; readonly password: string } | undefined {
  if (s.CLICKHOUSE_URL) return { url: s.CLICKHOUSE_URL, username: s.CLICKHOUSE_USER, password: s.CLICKHOUSE_PASSWORD };
  if (!running?.clickhouse) return undefined;
  const { kind, url, username } = running.clickhouse;
  return { url, username, password: kind === 'chdb' ? '' : s.CLICKHOUSE_PASSWORD };
}

export function openLog(config: Config, stack: Stack, logger: KafkaLogger): Log {
  return stack.kafka.kind === 'memory' ? memoryLog() : kafkaLog(kafkaOptions(config.settings, stack.kafka.brokers, 'saccade', logger));
}

/** Of these topics, those that the broker keeps for longer than is specified: for `ms` milliseconds. Throws as a log does. */
export async function keptTooLong(config: Config, stack: Stack, topics: readonly TopicSpec[], logger: KafkaLogger): Promise<{ readonly spec: TopicSpec; readonly ms: number }[]> {
  if (stack.kafka.kind === 'memory') return [];
  const admin = kafkaAdmin(kafkaOptions(config.settings, stack.kafka.brokers, 'saccade', logger));
  try {
    const kept = await admin.keptMs(topics.map(({ name }) => name));
    return topics.map((spec) => ({ spec, ms: kept.get(spec.name)! })).filter(({ spec: { retentionMs, segmentMs = 0 }, ms }) => ms > retentionMs + segmentMs);
  } finally {
    await admin.close();
  }
}

/** How the settings say to reach these brokers. */
export function kafkaOptions(s: Settings, brokers: readonly string[], clientId: string, log: KafkaLogger): KafkaOptions {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: username, KAFKA_PASSWORD: password } = s;
  return {
    brokers,
    clientId,
    ...(s.KAFKA_SSL ? { ssl: true } : {}),
    ...(mechanism && username && password ? { sasl: { mechanism, username, password } as SASLOptions } : {}),
    log,
  };
}

/** The log that a program beside the pipeline works on. */
export interface RunningLog {
  readonly log: Log;
  readonly admin: KafkaAdmin;
  /** The pipeline on the data folder, if one runs there. */
  readonly running: RunFile | null;
  /** Absolute. */
  readonly data: string;
  close(): Promise<void>;
}

/** What goes wrong is the program's to say: a kafkajs client's chatter is not for a terminal. */
const silent: KafkaLogger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * The log of KAFKA_BROKERS, else of the pipeline on SACCADE_DATA; connects to nothing yet. `wants` completes 'There is no log
 * to …' and `task` 'no other process can …'. Throws log_unavailable when there is no log that another process can reach.
 */
export function openRunningLog(s: Settings, clientId: string, wants: string, task: string): RunningLog {
  const data = resolve(s.SACCADE_DATA);
  const running = readRunFile(data);
  if (!s.KAFKA_BROKERS && running?.kafka.kind === 'memory') {
    throw new SaccadeError('log_unavailable', `The pipeline on ${data} (pid ${running.pid}) keeps its log in its own memory: no other process can ${task}.`);
  }
  const brokers = s.KAFKA_BROKERS ?? running?.kafka.brokers;
  if (!brokers) throw new SaccadeError('log_unavailable', `There is no log to ${wants}: no pipeline runs on ${data}. Start it with npm start, or set KAFKA_BROKERS.`);
  const options = kafkaOptions(s, brokers, clientId, silent);
  const [log, admin] = [kafkaLog(options), kafkaAdmin(options)];
  return { log, admin, running, data, close: async () => void (await Promise.all([log.close(), admin.close()])) };
}

/** The registry of the settings, else of the pipeline that runs, else schemas from files. */
export function openRunningRegistry(s: Settings, running: RunFile | null): SchemaRegistry {
  return registryAt(s, s.SCHEMA_REGISTRY_URL ?? running?.registry.url ?? null);
}

/** Where claim-checked images lie. */
export const openBlobs = (s: Settings, data: string): BlobStore => folderBlobs(s.SACCADE_BLOBS_DIR ?? join(data, 'blobs'));

/** Where pictures lie that are kept to look at. Made at once: a folder that is away is a fault, one without pictures is none. */
export function openKeptBlobs(s: Settings, data: string): BlobStore {
  const folder = s.SACCADE_KEEP_FRAMES_DIR ?? join(data, 'kept');
  mkdirSync(folder, { recursive: true });
  return folderBlobs(folder);
}

/**
 * The cache of answers, and how the start tells of it: Redis, else this process's memory. None where it is off, or where
 * what preprocess would look up is inferred in another process.
 */
export async function openCache(s: Settings, log: { info(message: string): void; warn(message: string): void }): Promise<{ readonly cache: Cache | null; readonly said: string }> {
  const runs = (stage: 'preprocess' | 'infer') => s.SACCADE_STAGES.includes(stage);
  if (s.SACCADE_CACHE === 'off' || (!runs('preprocess') && !runs('infer'))) return { cache: null, said: 'off' };
  if (s.REDIS_URL) {
    const cache = await redisCacheOf(s, s.REDIS_URL, log);
    // Asked once more here, so that whoever starts it sees on the terminal that it is away.
    const fault = await cache.get([]).then(() => '', (error: Error) => ` (${error.message} It is used as soon as it answers.)`);
    return { cache, said: `${s.REDIS_URL}${fault}` };
  }
  if (!runs('preprocess') || !runs('infer')) return { cache: null, said: 'none: preprocess and infer run apart and there is no REDIS_URL' };
  return { cache: memoryCache({ maxBytes: s.SACCADE_CACHE_MB * 1024 * 1024, clock: systemClock }), said: `in this process, ${s.SACCADE_CACHE_MB} MB` };
}

/** Of Idempotency-Keys in this process: some hundred thousand of them. */
const keyMemoryBytes = 32 * 1024 * 1024;

/** Where edges remember Idempotency-Keys, the nearest first: their own memory, and Redis, where the others find them. */
export async function openKeyMemory(s: Settings, log: Parameters<typeof redisCache>[0]['log']): Promise<readonly Cache[]> {
  return [memoryCache({ maxBytes: keyMemoryBytes, clock: systemClock }), ...(s.REDIS_URL ? [await redisCacheOf(s, s.REDIS_URL, log)] : [])];
}

function redisCacheOf({ REDIS_USERNAME: username, REDIS_PASSWORD: password }: Settings, url: string, log: Parameters<typeof redisCache>[0]['log']): Promise<Cache> {
  return redisCache({ url, ...(username ? { username } : {}), ...(password ? { password } : {}), clock: systemClock, log });
}

/** What is in work, for a later process. None for a log that ends with this one: no record of it comes again. */
export const openJournal = (log: Log, data: string, logger: Parameters<typeof folderJournal>[0]['log']): WorkJournal | undefined =>
  log.durable ? folderJournal({ folder: join(data, 'in-work'), self: identify(process.pid), isAlive, log: logger }) : undefined;

export const openRegistry = (config: Config, stack: Stack): SchemaRegistry => registryAt(config.settings, stack.registry.url);

function registryAt(s: Settings, url: string | null): SchemaRegistry {
  if (url === null) return fileRegistry();
  const { SCHEMA_REGISTRY_USERNAME: username, SCHEMA_REGISTRY_PASSWORD: password } = s;
  return confluentRegistry({ url, ...(username && password ? { auth: { username, password } } : {}) });
}

/** Those given, else those of the file, else that of the data folder where the database lies there too. Throws invalid_config. */
function sealingKeysOf({ SACCADE_SEALING_KEY: given, SACCADE_SEALING_KEY_FILE: file, SACCADE_DATA: data, DATABASE_URL: url }: Settings): Buffer[] {
  const local = join(resolve(data), 'sealing.key');
  const texts = given ?? (file ? linesOf(file) : url ? [] : [localSealingKey(local)]);
  if (file && texts.length === 0) throw new SaccadeError('invalid_config', `The file of SACCADE_SEALING_KEY_FILE (${file}) is empty: ${sealingKeyForm}.`);
  return texts.map((text) => {
    const key = readSealingKey(text);
    if (!key) throw new SaccadeError('invalid_config', `${given ? 'SACCADE_SEALING_KEY' : file ? `The file of SACCADE_SEALING_KEY_FILE (${file})` : local} holds what is no key: ${sealingKeyForm}.`);
    return key;
  });
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').map((line) => line.trim()).filter((line) => line !== '');
  } catch (error) {
    throw new SaccadeError('invalid_config', `SACCADE_SEALING_KEY_FILE is '${file}', which cannot be read: ${(error as Error).message}.`, error);
  }
}

/** The metadata of DATABASE_URL, else of the PostgreSQL embedded in `folder`. `died`: it has ended without being asked to. Throws metadata_unavailable. */
export async function openMetadataOf(s: Settings, folder: string, purpose: Purpose): Promise<Metadata & { readonly died: Promise<Error> }> {
  const keys = sealingKeysOf(s);
  if (s.DATABASE_URL) return { ...(await openMetadata(s.DATABASE_URL, keys)), died: new Promise(() => {}) };
  const local = await startPostgres(folder, purpose);
  try {
    const metadata = await openMetadata(local.url, keys);
    return {
      ...metadata,
      died: local.died,
      async close() {
        await metadata.close();
        await local.stop();
      },
    };
  } catch (error) {
    await local.stop();
    throw error;
  }
}

/** The sink puts the tables in place when it starts. */
export function openStore(stack: Stack, { CLICKHOUSE_DATABASE: database, CLICKHOUSE_CLUSTER: cluster }: Pick<Settings, 'CLICKHOUSE_DATABASE' | 'CLICKHOUSE_CLUSTER'>): Store {
  if (!stack.clickhouse) throw new SaccadeError('invalid_config', 'The sink needs CLICKHOUSE_URL.');
  const { kind, ...address } = stack.clickhouse;
  return clickhouseStore({ ...address, database, cluster, kind: kind === 'chdb' ? 'chdb' : 'clickhouse' });
}

/** For people's SQL: as a user of its own where one is given. A query waits its turn in the engine, and then may take this long. */
export function openReader({ clickhouse }: Stack, s: Settings): StoreReader {
  if (!clickhouse) throw new SaccadeError('invalid_config', 'SQL needs CLICKHOUSE_URL.');
  const { url, username, password } = clickhouse;
  const login = s.CLICKHOUSE_SQL_USER === undefined ? { username, password } : { username: s.CLICKHOUSE_SQL_USER, password: s.CLICKHOUSE_SQL_PASSWORD };
  return clickhouseReader({ url, ...login, timeoutMs: (s.SACCADE_SQL_SECONDS + 30) * 1000 });
}
