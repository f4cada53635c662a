/** The HTTP server of a process: operations always; inference and the page where the edge runs. */
import Fastify, { type FastifyInstance } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import { installDocument } from './openapi/document.ts';
import { opsRoutes, type OpsOptions } from './ops-routes.ts';
import { type Authenticate, installPrincipals } from './principal.ts';
import { asProblem, installProblems, type ProblemLog, sendProblem } from './problem.ts';

const closeLimitMs = 2_000;
const sweepMs = 50;

export interface HttpServer {
  readonly app: FastifyInstance;
  /** Answers the URL to open. Throws invalid_config when the port is taken. */
  listen(host: string, port: number): Promise<string>;
  /** Resolves when requests in flight are answered, or cut off after two seconds. */
  close(): Promise<void>;
}

/** Bodies that are JSON; routes that take pictures have limits of their own. */
const maxJsonBytes = 1024 * 1024;

export async function httpServer(options: OpsOptions & { readonly logger: ProblemLog; readonly authenticate: Authenticate }): Promise<HttpServer> {
  const app = Fastify({
    logger: false,
    bodyLimit: maxJsonBytes,
    // Anything stronger would cut answers short that are being written.
    forceCloseConnections: 'idle',
    requestTimeout: 60_000,
    connectionTimeout: 0,
    // A name in the path that is too long is for its route to refuse, which knows what it stands for.
    routerOptions: { maxParamLength: 4096 },
    // What is refused before there is a route.
    frameworkErrors: (error, _request, reply) => void sendProblem(reply as never, asProblem(error)),
  });
  installProblems(app, options.logger);
  installPrincipals(app, options.authenticate);
  await installDocument(app);
  opsRoutes(app, options);
  return {
    app,
    async listen(host, port) {
      try {
        await app.listen({ host, port });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        throw new SaccadeError('invalid_config', `PORT ${port} on ${host} is taken; set PORT to another, or 0 for any free one.`, error);
      }
      const address = app.server.address();
      const bound = typeof address === 'object' && address ? address.port : port;
      const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
      return `http://${shown.includes(':') ? `[${shown}]` : shown}:${bound}`;
    },
    async close() {
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
