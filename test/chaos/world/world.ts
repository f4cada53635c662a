/** Everything the run stands on, each a process of its own: Kafka, registry, store, cache, and every stage. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startChdb } from '../../../connectors/chdb/start.ts';
import { clickhouseStore } from '../../../connectors/clickhouse/store.ts';
import { SaccadeError } from '../../../connectors/errors.ts';
import { kafkaLog } from '../../../connectors/kafka/log.ts';
import type { Log, SchemaRegistry, Store } from '../../../connectors/ports.ts';
import { confluentRegistry } from '../../../connectors/registry/confluent.ts';
import { fetchJars, findJavaTools } from '../../../deploy/local/jars.mjs';
import { lineLog } from '../../../deploy/local/line-log.ts';
import { startRegistry } from '../../../deploy/local/registry.ts';
import { type Broker, startBroker } from './broker.ts';
import { startRedis, whyNoCache } from './cache.ts';
import { freePort } from './free-port.ts';
import { type Member, startMember } from './member.ts';
import { type ObjectStore, objectStore } from './object-store.ts';
import { type TcpProxy, tcpProxy } from './tcp-proxy.ts';

export const tenant = 'default';
export const models = ['efficientnet-lite0', 'ultraface'] as const;
/** Small, so that what is above it is cheap to offer: the record limit is 8 MiB. */
export const maxImageBytes = 3 * 1024 * 1024;

export interface World {
  readonly folder: string;
  readonly broker: Broker;
  /** In front of the engines, for the stages; the run itself asks past them. */
  readonly proxies: { readonly registry: TcpProxy; readonly store: TcpProxy; readonly cache: TcpProxy | null };
  readonly objects: ObjectStore;
  readonly members: ReadonlyMap<string, Member>;
  readonly edgeUrl: string;
  /** Past the proxies. */
  readonly log: Log;
  readonly registry: SchemaRegistry;
  readonly store: Store;
  killStore(): void;
  /** Resolves when the store answers, past the proxy. */
  storeAnswers(): Promise<void>;
  /** Starts (or ends, by SIGTERM) one more member of this stage. */
  join(stage: string): Promise<void>;
  leave(stage: string): Promise<void>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** The stages of a run, by member: two of infer, as a deployment has at its slowest stage. */
export const memberNames = (families: readonly string[]): string[] => families.flatMap((family) => (family === 'infer' ? ['infer-1', 'infer-2'] : [family]));
export const familyOf = (member: string): string => member.replace(/-\d+$/, '');

export interface WorldOptions {
  readonly folder: string;
  readonly members: readonly string[];
  readonly diskMegabytes: number;
  readonly say: (line: string) => void;
  /** Told of a stage that ended though nobody had killed it. */
  readonly ended: (member: string, how: string) => void;
  /** What has to be undone, in reverse order, however far the start came. */
  readonly undo: (() => Promise<unknown> | unknown)[];
}

/** Throws engine_unavailable naming what is missing (Java). */
export async function startWorld({ folder, members: names, diskMegabytes, say, ended, undo }: WorldOptions): Promise<World> {
  const tools = findJavaTools();
  if ('missing' in tools) throw new SaccadeError('engine_unavailable', `Chaos needs a real Kafka. Missing: ${tools.missing}. Install Java 17 and Maven (Debian: apt-get install openjdk-17-jre-headless maven).`);
  const jars = await fetchJars(tools, say);
  const at = (...parts: string[]): string => join(folder, ...parts);
  mkdirSync(at('logs'), { recursive: true });

  const objects = objectStore(at('disk'), diskMegabytes);
  undo.push(() => objects.close());
  const kafka = startBroker({ java: tools.java, classpath: jars.kafka, folder: at('kafka') });
  const schemas = startRegistry({ java: tools.java, jar: jars.registry, folder: at('registry') });
  const engine = startChdb({ dataDir: at('chdb'), port: await freePort(), log: lineLog(at('logs', 'chdb.log')) });
  const redis = whyNoCache() === null ? startRedis(at('redis')) : Promise.resolve(null);
  undo.push(
    () => kafka.then((it) => it.stop(), () => {}),
    () => schemas.then((it) => it.child.stop(), () => {}),
    () => engine.then((it) => it.stop(), () => {}),
    () => redis.then((it) => it?.child.stop(), () => {}),
  );
  const [broker, apicurio, chdb, cache] = await Promise.all([kafka, schemas, engine, redis]);
  const before = async (port: number): Promise<TcpProxy> => {
    const proxy = await tcpProxy(await freePort(), { host: '127.0.0.1', port });
    undo.push(() => proxy.close());
    return proxy;
  };
  const through = (url: string, proxy: TcpProxy): string => Object.assign(new URL(url), { port: String(proxy.port) }).toString().replace(/\/$/, '');
  const proxies = {
    registry: await before(Number(new URL(apicurio.url).port)),
    store: await before(Number(new URL(chdb.url).port)),
    cache: cache === null ? null : await before(cache.port),
  };
  const edgePort = await freePort();
  const env: Record<string, string> = {
    KAFKA_BROKERS: broker.address,
    SCHEMA_REGISTRY_URL: through(apicurio.url, proxies.registry),
    CLICKHOUSE_URL: through(chdb.url, proxies.store),
    ...(proxies.cache === null ? {} : { REDIS_URL: `redis://127.0.0.1:${proxies.cache.port}` }),
    SACCADE_BLOBS_DIR: objects.folder,
    SACCADE_MODELS_DIR: fileURLToPath(new URL('../../../models', import.meta.url)),
    SACCADE_MODELS: models.join(','),
    SACCADE_TENANT: tenant,
    SACCADE_MAX_IMAGE_BYTES: String(maxImageBytes),
    SACCADE_INFER_WORKERS: '1',
    SACCADE_SOURCE: 'none',
  };

  const members = new Map<string, Member>();
  const launch = async (name: string, stage: string): Promise<Member> => {
    const member = await startMember({
      name,
      args: ['--stages', stage],
      env: { ...env, SACCADE_DATA: at('stages', name), PORT: name === 'edge' ? String(edgePort) : '0' },
      folder: at('logs'),
      ended(how) {
        appendFileSync(at('logs', 'ended.log'), `${new Date().toISOString()} ${how}\n`);
        ended(name, how);
      },
    });
    undo.push(() => member.end());
    return member;
  };
  for (const name of names) members.set(name, await launch(name, familyOf(name)));
  await Promise.all([...members.values()].map((member) => member.ready()));

  const log = kafkaLog({ brokers: [broker.address], clientId: 'chaos', log: silent });
  const store = clickhouseStore({ url: chdb.url, kind: 'chdb', timeoutMs: 20_000 });
  undo.push(() => store.close(), () => log.close());
  let killedStore = 0;
  const extras = new Map<string, Member>();
  return {
    folder,
    broker,
    proxies,
    objects,
    members,
    edgeUrl: `http://127.0.0.1:${edgePort}`,
    log,
    registry: confluentRegistry({ url: apicurio.url }),
    store,
    killStore() {
      killedStore = chdb.pid;
      process.kill(killedStore, 'SIGKILL');
    },
    async storeAnswers() {
      for (const until = Date.now() + 120_000; chdb.pid === killedStore || !(await store.ping().then(() => true, () => false)); await sleep(100)) {
        if (Date.now() > until) throw new SaccadeError('engine_unavailable', `the store did not come back; its log is ${at('logs', 'chdb.log')}`);
      }
    },
    async join(stage) {
      extras.set(stage, await launch(`${stage}-added`, stage));
    },
    async leave(stage) {
      await extras.get(stage)?.stop();
      extras.delete(stage);
    },
  };
}
