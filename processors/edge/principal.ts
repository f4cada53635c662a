/**
 * Who asks, as every route sees it: `request.principal`. A route says what it needs in its options, `config: { needs: 'viewer' }`;
 * one that says nothing is for admins alone, so that a route forgotten is a route closed.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';

/** Each may what those before it may: read; infer; add to what models learn from; change who may what. */
export const roles = ['viewer', 'operator', 'trainer', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface Principal {
  /** Of the key, or issuer and subject of the token; for logs, limits and the audit trail. */
  readonly id: string;
  /** Never taken from anything the client can write. */
  readonly tenant: string;
  readonly role: Role;
  readonly kind: 'open' | 'key' | 'token';
}

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal;
  }
  interface FastifyContextConfig {
    needs?: Role | 'anyone';
  }
}

export const atLeast = (role: Role, needed: Role): boolean => roles.indexOf(role) >= roles.indexOf(needed);

/** Answers who asks. Throws unauthenticated. */
export type Authenticate = (request: FastifyRequest) => Promise<Principal>;

/** Everyone is the admin of the one tenant: for an edge that only this machine can reach. */
export const openMode = (tenant: string): Authenticate => {
  const everyone: Principal = { id: 'open', tenant, role: 'admin', kind: 'open' };
  return async () => everyone;
};

const nobody: Principal = { id: '', tenant: '', role: 'viewer', kind: 'open' };

/** Before any route is added: a hook holds for the routes that come after it. */
export function installPrincipals(app: FastifyInstance, authenticate: Authenticate): void {
  app.decorateRequest('principal', null as never);
  app.addHook('onRequest', async (request) => {
    const needs = request.routeOptions.config.needs ?? 'admin';
    if (request.is404 || needs === 'anyone') {
      request.principal = nobody;
      return;
    }
    const principal = await authenticate(request);
    if (!atLeast(principal.role, needs)) throw new SaccadeError('forbidden', `This needs the role ${needs}; yours is ${principal.role}.`);
    request.principal = principal;
  });
}
