/** The HTTP server of a process: operations always; inference and the page where the edge runs. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import { refuseForeignPages } from './foreign-pages.ts';
import { installDocument } from './openapi/document.ts';
import { opsRoutes, type OpsOptions } from './ops-routes.ts';
import { tellPipelined } from './pipelined.ts';
import { type Authenticate, installPrincipals } from './principal.ts';
import { asProblem, installProblems, type ProblemLog, sendProblem } from './problem.ts';
import { installSafety, safeHeaders } from './safety.ts';
import { shedding, type Shedding } from './shedding.ts';
import { slowReaders } from './slow-readers.ts';
import { keepCertificate, readCertificate, type TlsFiles } from './tls.ts';
import { leavesHttp, PlainUnlessWebSocket } from './upgrades.ts';

const closeLimitMs = 2_000;
const sweepMs = 50;
/** Longer than the proxies in front keep theirs, as a rule a minute: else one of their requests meets a connection that is being closed. */
const keptAliveMs = 72_000;

/** What a client may take its time with; one that sends a byte now and then is cut off when it is up. */
export interface ConnectionLimits {
  readonly most: number;
  /** Until the headers are there. */
  readonly headersMs: number;
  /** Until the whole request is. */
  readonly requestMs: number;
  /** How long an answer may wait without the client taking any of it. */
  readonly stalledMs: number;
  /** How often it is looked whether the time is up. */
  readonly checkMs: number;
}

export const connectionLimits: ConnectionLimits = { most: 4096, headersMs: 15_000, requestMs: 60_000, stalledMs: 30_000, checkMs: 2_000 };

/** What Node watches over by itself. */
export const nodeLimits = (limits: ConnectionLimits) => ({ headersTimeout: limits.headersMs, requestTimeout: limits.requestMs, connectionsCheckingInterval: limits.checkMs, keepAliveTimeout: keptAliveMs });

/** The rest; before it listens. */
export function limitConnections(app: FastifyInstance, { most, stalledMs, checkMs }: ConnectionLimits): void {
  app.server.maxConnections = most;
  tellPipelined(app.server);
  const looking = setInterval(slowReaders(app.server, { stalledMs, now: () => performance.now() }), checkMs).unref();
  app.addHook('onClose', async () => clearInterval(looking));
}

export interface ServerOptions extends OpsOptions {
  readonly logger: ProblemLog;
  readonly authenticate: Authenticate;
  /** It asks nobody who they are. */
  readonly open?: boolean;
  /** It is open, and for this machine alone: pages of other sites are refused, and names that are not this machine's; absent: no. */
  readonly loopback?: boolean;
  /** Adds what watches over every request, after it is known who asks. */
  readonly guard?: (app: FastifyInstance) => void;
  readonly tls?: TlsFiles | undefined;
  /** Pages of other origins that may call; absent: none. */
  readonly origins?: readonly string[];
  readonly trustedProxies?: readonly string[];
  readonly limits?: ConnectionLimits;
}

export interface HttpServer {
  readonly app: FastifyInstance;
  /** It asks nobody who they are. */
  readonly open: boolean;
  /** Refuses pictures that would be answered too late, before they reach the app. */
  readonly shed: Shedding['by'];
  readonly meant: Shedding['meant'];
  /** Answers the URL to open. Throws invalid_config when the port is taken. */
  listen(host: string, port: number): Promise<string>;
  /** Resolves when requests in flight are answered, or cut off after two seconds. */
  close(): Promise<void>;
}

/** Bodies that are JSON; routes that take pictures have limits of their own. */
const maxJsonBytes = 1024 * 1024;

/** Throws invalid_config for a certificate that cannot be used. */
export async function httpServer(options: ServerOptions): Promise<HttpServer> {
  const { tls, limits = connectionLimits, trustedProxies = [] } = options;
  const safe = await safeHeaders(tls !== undefined);
  const shed = shedding(safe, { proxied: trustedProxies.length > 0 });
  const connection = { ...nodeLimits(limits), IncomingMessage: PlainUnlessWebSocket };
  const settings = {
    logger: false,
    bodyLimit: maxJsonBytes,
    // Anything stronger would cut answers short that are being written.
    forceCloseConnections: 'idle' as const,
    // A name in the path that is too long is for its route to refuse, which knows what it stands for.
    routerOptions: { maxParamLength: 4096 },
    // What is refused before there is a route.
    frameworkErrors: (error: FastifyError, _request: unknown, reply: unknown) => void sendProblem(reply as never, asProblem(error)),
    ...(trustedProxies.length > 0 ? { trustProxy: [...trustedProxies] } : {}),
  };
  const app: FastifyInstance = Fastify({
    ...settings,
    serverFactory(handle) {
      const take: RequestListener = (request, response) => shed.pass(request, response, () => handle(request, response));
      const server = tls ? createTlsServer({ ...connection, ...readCertificate(tls), minVersion: 'TLSv1.2' }, take) : createServer(connection, take);
      // Who waits to be told to send the body is told once it is wanted.
      server.on('checkContinue', (request, response) => shed.pass(request, response, () => (response.writeContinue(), handle(request, response))));
      return server as Server;
    },
  });
  limitConnections(app, limits);
  installProblems(app, options.logger);
  // First: a refusal must have its headers as well.
  await installSafety(app, safe, options.origins ?? []);
  refuseForeignPages(app, { open: options.loopback ?? false, origins: options.origins ?? [] });
  app.addHook('onResponse', async ({ raw }) => {
    // An upgrade that is refused has left the HTTP server and its limits of time: whoever was refused could keep the connection for ever.
    if (leavesHttp(raw)) raw.socket.destroy();
  });
  installPrincipals(app, options.authenticate);
  // Before the limits: whoever is above them is no stranger at the door.
  app.addHook('onRequest', async ({ raw, principal }) => {
    if (principal.id !== '') shed.found(raw, principal);
  });
  options.guard?.(app);
  await installDocument(app, { open: options.open ?? false });
  opsRoutes(app, options);
  let stopLooking = (): void => {};
  return {
    app,
    open: options.open ?? false,
    shed: shed.by,
    meant: shed.meant,
    async listen(host, port) {
      try {
        // As many may knock at once as may be in: with Node's 511, others of a thousand would be let wait for seconds by their own TCP.
        // Not fewer: who is above the limit must get in to be sent away.
        await app.listen({ host, port, backlog: Math.max(511, limits.most) });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        throw new SaccadeError('invalid_config', `PORT ${port} on ${host} is taken; set PORT to another, or 0 for any free one.`, error);
      }
      if (tls) stopLooking = keepCertificate(app.server as unknown as HttpsServer, tls, options.logger);
      const address = app.server.address();
      const bound = typeof address === 'object' && address ? address.port : port;
      const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
      return `${tls ? 'https' : 'http'}://${shown.includes(':') ? `[${shown}]` : shown}:${bound}`;
    },
    async close() {
      stopLooking();
      // A connection that becomes idle while closing would stay until its keep-alive ends.
      const sweep = setInterval(() => app.server.closeIdleConnections(), sweepMs);
      const limit = setTimeout(() => app.server.closeAllConnections(), closeLimitMs);
      try {
        await app.close();
      } finally {
        clearInterval(sweep);
        clearTimeout(limit);
      }
    },
  };
}
