/**
 * Who asks, as every route sees it: `request.principal`. A route says what it needs in its options, `config: { needs: 'viewer' }`;
 * one that says nothing is for admins alone, so that a route forgotten is a route closed.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import type { RateClass } from '../../schemas/plans.ts';
import { atLeast, type Role } from '../../schemas/roles.ts';
import { holdToScope, type Scope, type Scoped } from './scope.ts';

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
  /** What the key is limited to; absent: all that its role may. */
  readonly scope?: Scope | undefined;
  /** When the credential ends by itself, in milliseconds since the epoch; absent: it does not. */
  readonly expiresAt?: number | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal;
  }
  interface FastifyContextConfig {
    needs?: Role | 'anyone';
    /** For principals of the home tenant alone: it tells of, or changes, all of them. */
    homeOnly?: boolean;
    /** What of a request a key that is limited to models or sources is held to (scope.ts); absent: not for such keys. */
    scope?: Scoped;
    /** What it counts as among the limits; absent: read for a viewer's route, predict for an operator's, admin for an admin's. */
    rate?: RateClass;
    /** False: too many and too little to be recorded one by one (a page's pictures). */
    audited?: boolean;
  }
}

/** Answers who asks. Throws unauthenticated. */
export type Authenticate = (request: FastifyRequest) => Promise<Principal>;

/** Over: revoked or expired. Unknown: whether it still holds could not be asked for too long. */
export type Lapse = 'over' | 'unknown';

/**
 * For what stays open once it was allowed (a WebSocket, a stream of events): calls back once when its principal is none any
 * more, within two seconds. Answers how to end the watch.
 */
export type Vigil = (principal: Principal, lapsed: (how: Lapse) => void) => () => void;

/** How a socket is closed when its principal lapses: 4401 as graphql-transport-ws has it, 1013 of IANA's registry: try again later. */
export const lapseClosing: Readonly<Record<Lapse, { readonly code: number; readonly reason: string }>> = {
  over: { code: 4401, reason: 'The key or token has been revoked or has expired.' },
  unknown: { code: 1013, reason: 'Whether the key still holds cannot be asked: try again later.' },
};

/** Everyone is the admin of the one tenant: for an edge that only this machine can reach. */
export const openMode = (tenant: string): Authenticate => {
  const everyone: Principal = { id: 'open', tenant, role: 'admin', kind: 'open', home: true };
  return async () => everyone;
};

/** Nobody's credential ends where there are none. */
export const noVigil: Vigil = () => () => {};

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
    holdToScope(request);
  });
}
