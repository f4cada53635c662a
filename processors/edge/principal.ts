/**
 * Who asks, as every route sees it: `request.principal`. A route says what it needs in its options, `config: { needs: 'viewer' }`;
 * one that says nothing is for admins alone, so that a route forgotten is a route closed.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import type { RateClass } from '../../schemas/plans.ts';
import { atLeast, type Role } from '../../schemas/roles.ts';

export type { Role } from '../../schemas/roles.ts';

export interface Principal {
  /** Of the key, or issuer and subject of the token; for logs, limits and the audit trail. */
  readonly id: string;
  /** Never taken from anything the client can write. */
  readonly tenant: string;
  readonly role: Role;
  readonly kind: 'open' | 'key' | 'token';
  /** Of the tenant that runs the installation (SACCADE_TENANT); absent: no. */
  readonly home?: boolean;
  /** Of the key, else of its tenant; absent: that of the process. */
  readonly plan?: string | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal;
  }
  interface FastifyContextConfig {
    needs?: Role | 'anyone';
    /** For principals of the home tenant alone: it tells of, or changes, all of them. */
    homeOnly?: boolean;
    /** What it counts as among the limits; absent: read for a viewer's route, predict for an operator's, admin for an admin's. */
    rate?: RateClass;
    /** False: too many and too little to be recorded one by one (a page's pictures). */
    audited?: boolean;
  }
}

/** Answers who asks. Throws unauthenticated. */
export type Authenticate = (request: FastifyRequest) => Promise<Principal>;

/** Everyone is the admin of the one tenant: for an edge that only this machine can reach. */
export const openMode = (tenant: string): Authenticate => {
  const everyone: Principal = { id: 'open', tenant, role: 'admin', kind: 'open', home: true };
  return async () => everyone;
};

export const nobody: Principal = { id: '', tenant: '', role: 'viewer', kind: 'open', home: false };

/** Before any route is added: a hook holds for the routes that come after it. */
export function installPrincipals(app: FastifyInstance, authenticate: Authenticate): void {
  app.decorateRequest('principal', null as never);
  app.addHook('onRequest', async (request) => {
    request.principal = nobody;
    const { needs = 'admin', homeOnly = false } = request.routeOptions.config;
    if (request.is404 || needs === 'anyone') return;
    const principal = await authenticate(request);
    request.principal = principal;
    if (!atLeast(principal.role, needs)) throw new SaccadeError('forbidden', `This needs the role ${needs}; yours is ${principal.role}.`);
    if (homeOnly && principal.home !== true) throw new SaccadeError('forbidden', 'This is for the tenant that runs the installation.');
  });
}
