/** The edge of a process: the page, inference over HTTP, and what they need of the log. */
import type { Cache, Clock, Log, LogProducer, SchemaRegistry, Store } from '../../connectors/ports.ts';
import type { AcceptRules } from '../ingest/accept.ts';
import type { Quota } from '../ingest/quota.ts';
import { type LiveFeed, liveRoutes } from './live-routes.ts';
import { batchRoutes } from './batch-routes.ts';
import type { EdgeConfig } from './config.ts';
import { inferRoutes } from './infer-routes.ts';
import type { FindKnown } from './known-pictures.ts';
import { type Ledger, noLedger } from './ledger.ts';
import { openInquiries } from './inquiries.ts';
import { openIntake } from './intake.ts';
import { graphqlRoutes } from './graphql/graphql-routes.ts';
import { historyRoutes } from './history/history-routes.ts';
import { resultsRoutes } from './history/results-routes.ts';
import { protocolInfer } from './inference-protocol/protocol-infer.ts';
import { protocolErrors, protocolRoutes } from './inference-protocol/protocol-routes.ts';
import { driftRoutes } from './drift/drift-routes.ts';
import { frameRoutes, type FramePictures } from './frames/frame-routes.ts';
import { edgeMetrics } from './metrics.ts';
import type { ModelCatalog } from './models/catalog.ts';
import { modelsRoutes } from './models/models-routes.ts';
import { installDocsPage } from './openapi/docs-page.ts';
import { noVigil, type Vigil } from './principal.ts';
import { openPaces } from './paces.ts';
import type { ProblemLog } from './problem.ts';
import { recentResults } from './recent-results.ts';
import { type ReplyDesk, replyDesk } from './reply-desk.ts';
import type { LeaseTable } from './reply-lease.ts';
import type { HttpServer } from './server.ts';
import { storeReader } from './store-reader.ts';
import { streamRoutes } from './stream/stream.ts';
import { installUploads } from './upload.ts';
import { usedKeys } from './used-keys.ts';

export interface EdgeOptions {
  readonly server: HttpServer;
  readonly log: Log;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly rules: AcceptRules;
  readonly clock: Clock;
  readonly config: EdgeConfig;
  readonly logger: ProblemLog;
  /** Null: this process has none, and what is asked of it is refused. */
  readonly store: Pick<Store, 'query'> | null;
  readonly catalog: ModelCatalog;
  /** Of the process, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** What the page shows. */
  readonly live: LiveFeed;
  /** Pictures of frames that are long past; absent: those of the live feed alone. */
  readonly kept?: FramePictures;
  readonly metrics: Parameters<typeof edgeMetrics>[0];
  /** Watches over who opened a socket or a stream of events; absent: nobody's credential ends. */
  readonly vigil?: Vigil;
  /** Counts and records what is done inside of requests and sockets; absent: nobody does. */
  readonly ledger?: Ledger;
  /** Requests above it go by the overflow lane; absent: none. */
  readonly quota?: Pick<Quota, 'take'> | null;
  /** Which partition of replies is whose; absent: there is no other edge. */
  readonly leases?: () => Promise<LeaseTable>;
  /** Where it is remembered what Idempotency-Keys were used for, the nearest first. */
  readonly keys: readonly Cache[];
  /** Finds answers to pictures that were seen before; absent: each goes through the stages. */
  readonly known?: FindKnown | undefined;
  /** Why nothing is accepted at present, or null; absent: nothing is ever in the way. */
  readonly refusal?: () => string | null;
  /** Whether the stages of this model work, as far as this process knows of them; absent: it knows of none. */
  readonly able?: (model: string) => boolean;
}

export interface Edge extends Pick<ReplyDesk, 'awaits' | 'receive'> {
  /** Resolves when answers can be received. */
  open(): Promise<void>;
  troubles(): Record<string, string>;
  /** Resolves when all that was let in before the call, by requests and by streams, is in the log, or has been refused. */
  settled(): Promise<void>;
  /** Requests that wait for an answer. */
  readonly waiting: number;
  /** Refuses what comes from now on and waits for what came before: the pipeline and the server must still be running. */
  close(): Promise<void>;
}

/** Adds the routes; they answer 503 until open() has resolved. */
export async function createEdge(options: EdgeOptions): Promise<Edge> {
  const { server, clock, config, rules, catalog, startedAt, quota = null, refusal = () => null, able = () => true, vigil = noVigil, ledger = noLedger } = options;
  const desk: ReplyDesk = replyDesk(options);
  const results = recentResults(clock);
  const paces = openPaces(clock, config);
  const inquiries = openInquiries({ ...options, desk, paces, quota, results, keys: usedKeys(options.keys, config.keysMs), seen: (picture) => options.live.of(picture.tenant).seen(picture) });
  const intake = openIntake({ rules, clock, config, metrics: edgeMetrics(options.metrics), inquiries, desk, refusal, meant: server.meant });
  /** A key that is limited to models means one of those where it names none; which key it is nobody knows yet, unless it has come a moment ago. */
  const unnamed = (): readonly string[] => (server.open ? rules.models.slice(0, 1) : rules.models);
  server.shed({ clock, turnsAway: (model, who) => inquiries.turnsAway(model === null ? unnamed() : [model], who, who === null && !server.open), refused: () => intake.metrics.refused('overloaded') });
  await installDocsPage(server.app);
  liveRoutes(server.app, { live: options.live, vigil });
  const ask = storeReader(options.store);
  resultsRoutes(server.app, { ask, results, clock });
  historyRoutes(server.app, { ask, clock, startedAt });
  driftRoutes(server.app, { ask, clock });
  frameRoutes(server.app, { live: options.live, kept: options.kept });
  modelsRoutes(server.app, { catalog });
  // In a scope of their own: what they read as a body is no other route's.
  await server.app.register(async (scope) => {
    await installUploads(scope, rules.maxImageBytes);
    inferRoutes(scope, intake);
    batchRoutes(scope, intake);
  });
  await server.app.register(
    async (scope) => {
      protocolErrors(scope);
      protocolRoutes(scope, { catalog, ready: () => desk.ready && refusal() === null, able });
      protocolInfer(scope, intake, catalog, ledger);
    },
    { prefix: '/v2' },
  );
  const streams = await streamRoutes(server.app, { ...options, paces, quota, refusal, desk, vigil, ledger, limits: config.stream });
  // After the streams, whose plug-in for WebSockets it shares.
  await graphqlRoutes(server.app, { ask, results, catalog, intake, clock, startedAt, vigil, ledger, limits: config.graphql, follow: (tenant, listener) => options.live.of(tenant).follow(listener) });
  return {
    open: () => desk.open(),
    awaits: desk.awaits,
    receive: desk.receive,
    troubles(): Record<string, string> {
      if (desk.stopping) return { edge: 'it is stopping' };
      if (!desk.ready) return { edge: 'its partition of replies is not positioned yet' };
      const why = refusal();
      return why === null ? {} : { edge: why };
    },
    settled: async () => void (await Promise.all([inquiries.settled(), streams.settled()])),
    get waiting() {
      return desk.waiting;
    },
    async close() {
      streams.stop();
      // What waits at the desk is requests' and streams' alike.
      await desk.close(config.drainMs);
      await streams.close();
    },
  };
}
