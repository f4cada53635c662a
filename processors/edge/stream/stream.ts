/** GET /v1/stream: video over a WebSocket. Frames into `frames`, outcomes back in order. The README describes the protocol. */
import websocket from '@fastify/websocket';
import type { FastifyInstance } from 'fastify';
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Clock, LogProducer, SchemaRegistry } from '../../../connectors/ports.ts';
import { type AcceptRules, checkModel, meantModel } from '../../ingest/accept.ts';
import type { Quota } from '../../ingest/quota.ts';
import type { Ledger, Verdict } from '../ledger.ts';
import type { Paces } from '../paces.ts';
import { lapseClosing, type Principal, type Vigil } from '../principal.ts';
import type { ProblemLog } from '../problem.ts';
import { notReady, type ReplyDesk } from '../reply-desk.ts';
import { modelWithin, sourceWithin } from '../scope.ts';
import { checkPlace } from '../socket-places.ts';
import { createBudget } from './budget.ts';
import { connect, type Connection } from './connection.ts';
import type { StreamConfig } from './config.ts';
import { frameSender } from './frame-sender.ts';
import type { Link } from './link.ts';
import { type StreamMetrics, streamMetrics } from './metrics.ts';
import { errorOutcome, framePreparer } from './prepare-frame.ts';
import { headerBytes, type Opening, openingOfQuery } from './protocol.ts';
import { createSession, type Session } from './session.ts';
import { openSessions } from './sessions.ts';

export interface StreamOptions {
  readonly rules: AcceptRules;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly desk: ReplyDesk;
  readonly clock: Clock;
  readonly limits: StreamConfig;
  readonly paces: Paces;
  readonly metrics: Parameters<typeof streamMetrics>[0];
  readonly logger: ProblemLog;
  readonly vigil: Vigil;
  readonly ledger: Ledger;
  /** Null: none. A source above it is held to it: live frames are dropped, others wait. */
  readonly quota: Pick<Quota, 'take'> | null;
  /** Why nothing is accepted at present, or null. */
  refusal(): string | null;
}

export interface Streams {
  readonly sockets: number;
  /** Resolves when what was let in before the call is in the log, or has come back. */
  settled(): Promise<void>;
  /** Takes nothing more; each socket is closed once what is in the pipeline for it is answered. */
  stop(): void;
  /** Ends the sockets that are left: resolves when all have gone. */
  close(): Promise<void>;
}

const checkEveryMs = 1_000;
const closeMs = 1_500;
/** Messages to /graphql go by the same plug-in: small frames must not make its questions too long. */
const leastMessageBytes = 1024 * 1024;

export async function streamRoutes(app: FastifyInstance, options: StreamOptions): Promise<Streams> {
  const { rules, producer, desk, clock, limits, paces, logger, quota, refusal, vigil, ledger } = options;
  /** With who opened them. */
  const connections = new Map<Connection, Principal>();
  const budget = createBudget(limits.totalBytes);
  const keptBudget = createBudget(limits.keepTotalBytes, () => sessions.forgetOldest());
  let framesInHand = 0;
  const counted = streamMetrics(options.metrics, { sockets: () => connections.size, sessions: () => sessions.size, bytes: () => budget.held, frames: () => framesInHand });
  const metrics: StreamMetrics = {
    ...counted,
    offered: () => (framesInHand++, counted.offered()),
    acknowledged: () => (framesInHand--, counted.acknowledged()),
    dropped: (reason) => (framesInHand--, counted.dropped(reason)),
    refused: (code) => (framesInHand--, counted.refused(code)),
  };
  const sender = frameSender({
    clock,
    prepare: framePreparer({ ...options, metrics }),
    send: (records) => producer.send(records),
    held: () => !desk.ready || refusal() !== null,
    told: (trouble) => logger.warn({ error: trouble?.message ?? null }, trouble ? 'frames of streams wait' : 'frames of streams are taken again'),
  });
  const sessions = openSessions(limits, (about) =>
    createSession({
      about, limits, budget, keptBudget, clock, metrics,
      door: paces.of(about.model)[about.policy === 'wait' ? 'wait' : 'live'],
      served: () => rules.models.includes(about.model),
      allowed(now, tap): Verdict {
        const verdict = tap.take(now);
        // Under a name of its own: two sources of one name, here and in frames.in, do not use up each other's quota.
        if (verdict !== 'yes' || quota === null || quota.take(`stream/${about.tenant}/${about.source}`, now)) return verdict;
        tap.giveBack();
        return 'no';
      },
      wake: (session) => sender.wake(session),
      errorOf: errorOutcome,
    }),
  );
  let stopping = false;

  /** The model that is meant: whoever comes back without naming one means what the session was opened with. Throws forbidden, unknown_model. */
  function meantBy({ scope, tenant }: Principal, wish: Opening): string {
    sourceWithin(scope, wish.source);
    return meantModel(modelWithin(scope, wish.model ?? sessions.modelOf(tenant, wish)), rules);
  }

  function open(principal: Principal, wish: Opening, link: Link): Session {
    const { tenant } = principal;
    const model = meantBy(principal, wish);
    // One that is held is gone on with whatever has become of its model: the outcomes of what was accepted are its client's.
    const { session, resume } = sessions.open(tenant, { ...wish, model }, () => checkModel(model, rules));
    session.attach(link, resume, wish.acknowledged ?? -1);
    return session;
  }

  // One library for all sockets of the server; what is not asked for here keeps its defaults.
  await app.register(websocket, {
    options: { maxPayload: Math.max(limits.frameBytes + headerBytes, leastMessageBytes), perMessageDeflate: false },
    // A protocol error has begun the closing already; only an end that the client holds up is left to do.
    errorHandler: (_error, socket) => void setTimeout(() => socket.terminate(), checkEveryMs).unref(),
    // close() has ended them.
    preClose: (done) => done(),
  });

  app.route({
    method: 'GET',
    url: '/v1/stream',
    exposeHeadRoute: false,
    // What counts as predict is each of its frames.
    config: { needs: 'operator', rate: 'read', scope: 'itself' },
    onRequest: async (request) => {
      if (stopping) throw notReady(true);
      checkPlace(connections, request.principal, limits);
      // A query that makes no sense is refused with words, which a close code has few of.
      const wish = openingOfQuery(request.query as Record<string, unknown>);
      if (wish) meantBy(request.principal, wish);
    },
    handler: () => {
      throw new SaccadeError('upgrade_required', 'Open it as a WebSocket.');
    },
    wsHandler(socket, request) {
      const { principal } = request;
      const connection: Connection = connect({
        socket, raw: request.raw.socket, limits, clock, logger,
        tap: ledger.tap(principal, 'predict'),
        opening: openingOfQuery(request.query as Record<string, unknown>),
        open: (wish, link) => open(principal, wish, link),
        closed(code, session) {
          endWatch();
          connections.delete(connection);
          metrics.closed(code);
          if (session) sessions.left(session, clock.now());
        },
      });
      connections.set(connection, principal);
      const endWatch = vigil(principal, (how) => connection.close(lapseClosing[how].code, lapseClosing[how].reason));
    },
  });

  const checking = new AbortController();
  void (async () => {
    while (!checking.signal.aborted) {
      await clock.sleep(checkEveryMs, checking.signal);
      const now = clock.now();
      for (const connection of connections.keys()) connection.check(now);
      sessions.sweep(now);
    }
  })();

  return {
    get sockets() {
      return connections.size;
    },
    settled: () => sender.settled(),
    stop() {
      stopping = true;
      for (const session of sessions.all()) session.stop();
    },
    async close() {
      checking.abort();
      await sender.close();
      for (const connection of connections.keys()) connection.close(1001, 'The edge is stopping: connect again and resume.');
      for (const until = clock.now() + closeMs; connections.size > 0 && clock.now() < until; ) await clock.sleep(20);
      for (const connection of connections.keys()) connection.terminate();
    },
  };
}
