/** The server of ClickHouse's HTTP interface, with who may ask decided as on the edge. */
import Fastify, { type FastifyInstance } from 'fastify';
import { type Authenticate, installPrincipals } from '../edge/principal.ts';
import { credentialsHook, doorRoutes, type DoorOptions } from '../sql/door.ts';

export function sqlDoor({ authenticate, ...options }: DoorOptions & { readonly authenticate: Authenticate }): FastifyInstance {
  // A query may come in the URL whole.
  const app = Fastify({ logger: false, forceCloseConnections: true, http: { maxHeaderSize: 256 * 1024 } });
  // First: it puts the key where the authentication looks for it.
  credentialsHook(app);
  installPrincipals(app, authenticate);
  doorRoutes(app, options);
  return app;
}
