/** The server of ClickHouse's HTTP interface, with who may ask decided, limited and recorded as on the edge. */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import Fastify, { type FastifyInstance } from 'fastify';
import { refuseForeignNames } from '../edge/foreign-pages.ts';
import { type Authenticate, installPrincipals } from '../edge/principal.ts';
import type { ProblemLog } from '../edge/problem.ts';
import { type ConnectionLimits, connectionLimits, limitConnections, nodeLimits } from '../edge/server.ts';
import { keepCertificate, readCertificate, type TlsFiles } from '../edge/tls.ts';
import { credentialsHook, doorRoutes, type DoorOptions } from '../sql/door.ts';

export interface SqlDoorOptions extends DoorOptions {
  readonly authenticate: Authenticate;
  /** Adds what watches over every request, after it is known who asks. */
  readonly guard?: (app: FastifyInstance) => void;
  /** As the edge's: a key must not travel in the open here either. */
  readonly tls?: TlsFiles | undefined;
  readonly logger?: ProblemLog;
  /** It asks nobody who they are; absent: it does. */
  readonly open?: boolean;
  /** Whose hosts are names of this machine too. */
  readonly origins?: readonly string[];
  /** As the edge's. */
  readonly limits?: ConnectionLimits;
}

/** Throws invalid_config for a certificate that cannot be used. */
export function sqlDoor({ authenticate, guard, tls, logger, open = false, origins = [], limits = connectionLimits, ...options }: SqlDoorOptions): FastifyInstance {
  // A query may come in the URL whole.
  const connection = { ...nodeLimits(limits), maxHeaderSize: 256 * 1024 };
  const app: FastifyInstance = Fastify({
    logger: false,
    forceCloseConnections: true,
    // By Fastify's own, HOST=localhost would be a server for each address of that name, of which only the first has the limits and a renewed certificate.
    serverFactory: (handle) => (tls ? createTlsServer({ ...connection, ...readCertificate(tls), minVersion: 'TLSv1.2' }, handle) : createServer(connection, handle)) as Server,
  });
  limitConnections(app, limits);
  if (tls && logger) {
    const stop = keepCertificate(app.server as unknown as HttpsServer, tls, logger);
    app.addHook('onClose', async () => stop());
  }
  if (open) refuseForeignNames(app, origins);
  // First: it puts the key where the authentication looks for it.
  credentialsHook(app);
  installPrincipals(app, authenticate);
  guard?.(app);
  doorRoutes(app, options);
  return app;
}
