/** What the pipeline stands on: each engine is the one whose address was given, else an embedded one started here. */
import { join, resolve as absolute } from 'node:path';
import { startChdb } from '../../connectors/chdb/start.ts';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import { lockFolder } from './folder-lock.ts';
import { fetchJars, findJavaTools, type Jars, type JavaTools } from './jars.mjs';
import { startKafka } from './kafka.ts';
import { lineLog } from './line-log.ts';
import { choosePorts } from './ports.ts';
import { startRegistry } from './registry.ts';

export interface StackOptions {
  /** Everything embedded keeps its state in here. */
  readonly dataDir: string;
  readonly kafkaBrokers?: readonly string[] | undefined;
  readonly registryUrl?: string | undefined;
  /** null: nobody here needs a store. */
  readonly clickhouse?: { readonly url: string; readonly username?: string; readonly password?: string } | null | undefined;
  /** The in-process log even where Kafka could be started. */
  readonly forceMemory?: boolean | undefined;
  /** The caller has locked the folder, and gives it back after `stop`. */
  readonly locked?: boolean | undefined;
  /** Gets the choices and the progress, a line at a time. */
  readonly say: (line: string) => void;
}

export interface Stack {
  readonly kafka: { readonly kind: 'given' | 'embedded' | 'memory'; readonly brokers: readonly string[] };
  readonly registry: { readonly kind: 'given' | 'apicurio' | 'files'; readonly url: string | null };
  readonly clickhouse: { readonly kind: 'given' | 'chdb'; readonly url: string; readonly username: string; readonly password: string } | null;
  readonly children: readonly { readonly name: string; readonly pid: number }[];
  /** Stops what was started here, and gives the folder back. */
  stop(): Promise<void>;
  /** Resolves when a child has died without being asked to; stays pending otherwise. */
  readonly failed: Promise<Error>;
}

/** One engine that was started, or chosen, with how to end it. */
interface Part<T> {
  readonly value: T;
  readonly child?: { readonly name: string; readonly pid: number; stop(): Promise<void>; readonly died: Promise<Error | null> };
}

/** Starts what is not given, all at once. Throws invalid_config when another process owns the folder, server_unavailable, store_unavailable. */
export async function startStack(given: StackOptions): Promise<Stack> {
  // The children have working directories of their own.
  const options = { ...given, dataDir: absolute(given.dataDir) };
  const { dataDir, say } = options;
  const embedded = !options.kafkaBrokers || options.clickhouse === undefined;
  const unlock = embedded && !options.locked ? lockFolder(dataDir) : () => {};
  const jvm = options.kafkaBrokers || options.forceMemory ? Promise.resolve(null) : javaSide(say, join(dataDir, 'cache'));
  const starting = [kafka(options, jvm), registry(options, jvm), clickhouse(options)] as const;
  const settled = await Promise.allSettled(starting);
  const parts = settled.flatMap((one): Part<unknown>[] => (one.status === 'fulfilled' ? [one.value] : []));
  const children = parts.flatMap(({ child }) => (child ? [child] : []));
  const state = { stopping: false };
  const stop = async (): Promise<void> => {
    state.stopping = true;
    await Promise.all(children.map((child) => child.stop()));
    unlock();
  };
  const failure = settled.find((one) => one.status === 'rejected');
  if (failure) {
    await stop();
    throw asSaccadeError(failure.reason, 'server_unavailable');
  }
  const [log, schemas, store] = await Promise.all(starting);
  return {
    kafka: log.value,
    registry: schemas.value,
    clickhouse: store.value,
    get children() {
      return children.map(({ name, pid }) => ({ name, pid }));
    },
    stop,
    failed: new Promise((resolve) => {
      for (const child of children) {
        void child.died.then((why) => {
          if (!state.stopping && why) resolve(why);
        });
      }
    }),
  };
}

type JavaSide = { readonly tools: JavaTools; readonly jars: Jars };

/** `spare` is a cache for a home that cannot be written. */
async function javaSide(say: (line: string) => void, spare: string): Promise<JavaSide | null> {
  const tools = findJavaTools(spare);
  if ('missing' in tools) {
    say('!! No Kafka: the log is kept in this process and is NOT DURABLE. Everything in it is lost at the end.');
    say(`!! Missing: ${tools.missing}. Install Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless maven), or set KAFKA_BROKERS.`);
    return null;
  }
  try {
    return { tools, jars: await fetchJars(tools, say, spare) };
  } catch (error) {
    say('!! No Kafka: the log is kept in this process and is NOT DURABLE. Everything in it is lost at the end.');
    say(`!! Its jars could not be fetched: ${(error as Error).message}. Check Maven's access to its repository, or set KAFKA_BROKERS.`);
    return null;
  }
}

async function kafka(options: StackOptions, jvm: Promise<JavaSide | null>): Promise<Part<Stack['kafka']>> {
  const { say, kafkaBrokers } = options;
  if (kafkaBrokers) {
    say(`kafka       ${kafkaBrokers.join(',')} (given)`);
    return { value: { kind: 'given', brokers: kafkaBrokers } };
  }
  const java = await jvm;
  if (!java) {
    say('kafka       the in-process log: not durable, this process only');
    return { value: { kind: 'memory', brokers: [] } };
  }
  const { brokers, child } = await startKafka({ java: java.tools.java, classpath: java.jars.kafka, folder: join(options.dataDir, 'kafka') });
  say(`kafka       ${brokers.join(',')} (started here, data in ${join(options.dataDir, 'kafka')})`);
  return { value: { kind: 'embedded', brokers }, child: { ...child, died: dead(child.ended) } };
}

async function registry(options: StackOptions, jvm: Promise<JavaSide | null>): Promise<Part<Stack['registry']>> {
  const { say, registryUrl } = options;
  if (registryUrl) {
    say(`registry    ${registryUrl} (given)`);
    return { value: { kind: 'given', url: registryUrl } };
  }
  const java = await jvm;
  if (!java) {
    say('registry    schemas from files');
    return { value: { kind: 'files', url: null } };
  }
  const { url, child } = await startRegistry({ java: java.tools.java, jar: java.jars.registry, folder: join(options.dataDir, 'registry') });
  say(`registry    ${url} (Apicurio, started here)`);
  return { value: { kind: 'apicurio', url }, child: { ...child, died: dead(child.ended) } };
}

async function clickhouse(options: StackOptions): Promise<Part<Stack['clickhouse']>> {
  const { say, clickhouse: given } = options;
  if (given === null) return { value: null };
  if (given) {
    say(`clickhouse  ${given.url} (given)`);
    return { value: { kind: 'given', url: given.url, username: given.username ?? 'default', password: given.password ?? '' } };
  }
  // Beside the engine's folder, which is its own alone.
  const { http: port } = await choosePorts(join(options.dataDir, 'chdb-ports.json'), ['http']);
  const chdb = await startChdb({ dataDir: join(options.dataDir, 'chdb'), port, log: lineLog(join(options.dataDir, 'logs', 'chdb.log')) });
  say(`clickhouse  ${chdb.url} (chdb, started here)`);
  const child = { name: 'chdb', get pid() { return chdb.pid; }, stop: () => chdb.stop(), died: chdb.ended };
  return { value: { kind: 'chdb', url: chdb.url, username: 'default', password: '' }, child };
}

const dead = (ended: Promise<string>): Promise<Error> => ended.then((how) => new SaccadeError('server_unavailable', how));
