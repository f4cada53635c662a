/** The edge over the real stages and models, on the in-process log: everything but the brokers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import type { z } from 'zod';
import { memoryBlobs } from '../../connectors/blobs/memory.ts';
import { answerCache } from '../../connectors/cache/answers.ts';
import { memoryCache } from '../../connectors/cache/memory.ts';
import { cacheMetrics } from '../../connectors/cache/metrics.ts';
import { memoryLog } from '../../connectors/memory/log.ts';
import { loadModels, openRepository } from '../../connectors/models/repository.ts';
import type { Cache, Log, LogProducer, Store } from '../../connectors/ports.ts';
import { fileRegistry } from '../../connectors/registry/files.ts';
import { knownPictures } from '../../processors/assembly/known-pictures.ts';
import { createAdmission } from '../../processors/admission.ts';
import type { QuotaRules } from '../../processors/ingest/quota.ts';
import { createEdge, type Edge } from '../../processors/edge/edge.ts';
import { edgeConfig } from '../../processors/edge/config.ts';
import { ownReplies } from '../../processors/edge/own-replies.ts';
import { openMode } from '../../processors/edge/principal.ts';
import { type ConnectionLimits, type HttpServer, httpServer } from '../../processors/edge/server.ts';
import type { TlsFiles } from '../../processors/edge/tls.ts';
import type { Access } from '../../processors/assembly/access.ts';
import type { graphqlConfig } from '../../processors/edge/graphql/config.ts';
import type { streamConfig } from '../../processors/edge/stream/config.ts';
import type { ProblemLog } from '../../processors/edge/problem.ts';
import { inferStage } from '../../processors/infer/infer.ts';
import { ingestStage } from '../../processors/ingest/ingest.ts';
import { startLive } from '../../processors/live/live.ts';
import { preprocessConfig } from '../../processors/preprocess/config.ts';
import { preprocessStage } from '../../processors/preprocess/preprocess.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { runtimeMetrics } from '../../processors/runtime/metrics.ts';
import { createPipeline } from '../../processors/runtime/pipeline.ts';
import { type StageFamily, stagesToWatch, topology } from '../../processors/topology.ts';
import { topicSpecs } from '../../schemas/topics.ts';
import { always, engineWith } from './models.ts';
import { quiet } from './pipeline.ts';
import { fixedModels } from '../../schemas/model-set.ts';

export interface EdgeUnderTest {
  readonly url: string;
  readonly log: Log;
  readonly edge: Edge;
  readonly server: HttpServer;
  close(): Promise<void>;
}

const maxPixels = 10_000_000;
const noLive = { of: () => ({ follow: () => () => {}, snapshot: () => ({}), subscribe: () => () => {}, picture: async () => null, seen: () => {} }) };

export interface EdgeTestOptions {
  readonly stages?: StageFamily[];
  readonly maxImageBytes?: number;
  readonly claimCheckBytes?: number;
  readonly requestTimeoutMs?: number;
  readonly maxWaiting?: number;
  readonly maxUploadBytes?: number;
  readonly maxBatchBytes?: number;
  readonly drainMs?: number;
  readonly pace?: Partial<Pick<z.input<typeof edgeConfig>, 'targetMs' | 'lateMs' | 'paceFirst' | 'paceLeast' | 'paceCalm' | 'maxAwaited'>>;
  readonly open?: boolean;
  readonly logger?: ProblemLog;
  readonly wrap?: (log: Log) => Log;
  readonly quota?: QuotaRules;
  readonly refusal?: () => string | null;
  readonly store?: Store;
  readonly access?: (base: { readonly log: Log; readonly producer: LogProducer }) => Promise<Pick<Access, 'authenticate' | 'guard' | 'routes'> & Partial<Pick<Access, 'vigil' | 'ledger'>>>;
  readonly limits?: ConnectionLimits;
  readonly tls?: TlsFiles;
  readonly origins?: readonly string[];
  readonly stream?: z.input<typeof streamConfig>;
  readonly graphql?: z.input<typeof graphqlConfig>;
  readonly live?: boolean;
  readonly cache?: Cache;
  readonly keys?: readonly Cache[];
  readonly able?: (model: string) => boolean;
  /** Names of the models of it that are being unloaded. */
  readonly leaving?: ReadonlySet<string>;
  /** Those that may be asked for; all that are there unless given. */
  readonly offered?: readonly string[];
}

export async function startEdgeUnderTest(options: EdgeTestOptions = {}): Promise<EdgeUnderTest> {
  const { stages = ['ingest', 'preprocess', 'infer'], open = true, leaving = new Set<string>() } = options;
  const models = await loadModels('models', ['efficientnet-lite0', 'nanodet']);
  const names = models.map(({ card }) => card.name);
  const log = (options.wrap ?? ((inner) => inner))(memoryLog());
  const registry = fileRegistry();
  const topics = topicSpecs(names, { partitions: 4, replication: 1, minInSync: 1, maxRecordBytes: 8 * 1024 * 1024 });
  await Promise.all([log.ensureTopics(topics), registry.prepare(topics)]);
  const producer = await log.producer();
  const blobs = memoryBlobs();
  const rules = { maxImageBytes: options.maxImageBytes ?? 4_000_000, claimCheckBytes: options.claimCheckBytes ?? 1_000_000, get models() { return (options.offered ?? names).filter((name) => !leaving.has(name)); }, leaving: (model: string) => (leaving.has(model) ? 0 : null), blobs };
  const clock = systemClock;
  const engine = stages.includes('infer') ? await engineWith(models, clock) : null;
  const metrics = new Registry();
  const answers = options.cache ? answerCache({ cache: options.cache, ttlMs: 600_000, metrics: cacheMetrics(metrics) }) : null;
  const cache = answers && { answers, live: false, except: [] };
  const replies = ownReplies(producer);
  const admission = createAdmission({ log, producer, clock, models: () => names, rules: options.quota ?? null });
  const pipeline = createPipeline({
    steps: topology(stages, models, {
      ingest: () => ({ 'frames.in': ingestStage({ rules, tenant: 'default', lanes: admission.lanesOf('frames.in') }) }),
      preprocess: () => preprocessStage({ models: fixedModels(models), blobs, limits: preprocessConfig.parse({ maxPixels }), clock, cache }),
      overflow: () => admission.overflow,
      infer: () => (model) => inferStage({ serving: always(model), engine: engine!, clock, answers }),
      sink: () => {
        throw new TypeError('no sink here');
      },
      keep: () => ({}),
      drift: () => {
        throw new TypeError('no drift here');
      },
    }),
    fuse: [],
    log,
    producer: replies.producer,
    registry,
    clock,
    metrics: runtimeMetrics(metrics),
    logger: () => quiet,
    limits: { inFlightBytes: 64e6, fetchBytes: 16e6, fetchBytesPerPartition: 4e6, maxRecordBytes: 8e6, commitIntervalMs: 20 },
  });
  const troubles = (): Record<string, string> => ({ ...pipeline.troubles(), ...edge.troubles() });
  const access: Partial<Access> & Pick<Access, 'authenticate' | 'guard' | 'routes'> = (await options.access?.({ log, producer })) ?? { authenticate: openMode('default'), guard() {}, routes() {} };
  const { limits, tls, origins } = options;
  const server = await httpServer({ metrics, troubles, startedAt: clock.now(), logger: options.logger ?? quiet, authenticate: access.authenticate, open: options.access === undefined, loopback: options.access === undefined, guard: access.guard, tls, ...(origins ? { origins } : {}), ...(limits ? { limits } : {}) });
  access.routes(server.app);
  const { requestTimeoutMs = 20_000, maxWaiting = 64, maxUploadBytes, maxBatchBytes, drainMs } = options;
  const config = edgeConfig.parse({ requestTimeoutMs, maxWaiting, maxUploadBytes, maxBatchBytes, drainMs, ...options.pace, stream: options.stream, graphql: options.graphql });
  const live = options.live ? await startLive({ log, registry, clock, groups: () => stagesToWatch(names), blobs }) : null;
  const repository = openRepository('models');
  const catalog = { served: () => models, leaving: () => false, versions: repository.versions, card: (name: string, version: string) => repository.card({ name, version }) };
  const edge = await createEdge({ server, log, producer, registry, rules, clock, config, metrics, live: live ?? noLive, store: options.store ?? null, catalog, startedAt: clock.now(), logger: options.logger ?? quiet, quota: admission.quota, ...(access.vigil ? { vigil: access.vigil } : {}), ...(access.ledger ? { ledger: access.ledger } : {}), keys: options.keys ?? [memoryCache({ maxBytes: 1e6, clock })], known: cache ? knownPictures({ rules: cache, models: fixedModels(models), current: (model) => ({ model, insteadOf: null }), maxPixels }) : undefined, refusal: options.refusal ?? (() => null), ...(options.able ? { able: options.able } : {}) });
  replies.deliverTo(edge);
  await pipeline.start();
  if (open) await edge.open();
  const url = await server.listen('127.0.0.1', 0);
  return {
    url,
    log,
    edge,
    server,
    async close() {
      await edge.close();
      await server.close();
      await live?.close();
      admission.release();
      await pipeline.stop(1000);
      await admission.close();
      await engine?.close();
      await log.close();
    },
  };
}

export const picture = (name: string): Buffer => readFileSync(`media/${name}.jpg`);

export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
}

/** The problem+json of a refusal, with what holds of every one. */
export async function problemOf(response: Response, status: number, code: string): Promise<Problem> {
  const body = (await response.json()) as Problem;
  assert.equal(response.status, status, JSON.stringify(body));
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  assert.equal(body.status, status);
  assert.equal(body.code, code);
  assert.ok(body.title.length > 5);
  assert.match(body.type, /^urn:saccade:error:/);
  assert.doesNotMatch(JSON.stringify(body), /\.ts\b|node_modules|\n\s+at /, 'no internals in a body');
  return body;
}

/** A request with the image as its body. */
export const raw = (body: Buffer, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: new Uint8Array(body),
  headers: { 'content-type': 'image/jpeg', ...headers },
});
