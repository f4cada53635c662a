/** Puts what is done over HTTP on the audit trail: who, what, to what, and how it ended. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { Ledger } from '../edge/ledger.ts';
import { leavesHttp } from '../edge/upgrades.ts';
import type { AuditTrail } from './audit-trail.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request was about, where its URL does not say: a key that was made. */
    auditTarget: string;
    audited: boolean;
  }
}

const longestTarget = 500;

/** After the principals are installed. What an admin changes is recorded before it is answered, all else within a moment after. */
export function installAudit(app: FastifyInstance, { trail, clock }: { readonly trail: AuditTrail; readonly clock: Clock }): void {
  app.decorateRequest('auditTarget', '');
  app.decorateRequest('audited', false);

  const concerns = ({ is404, routeOptions: { config } }: FastifyRequest): boolean => !is404 && config.needs !== 'anyone' && config.audited !== false;

  function record(request: FastifyRequest, status: number): void {
    // A flood of wrong credentials is cut off by its address; it must not fill the trail either.
    // Without a principal it was answered before anybody asked who it is: a browser's preflight, a page that may not ask.
    if (request.audited || !request.principal || !concerns(request) || (status === 429 && request.principal.id === '')) return;
    request.audited = true;
    const { id: actor, tenant, role } = request.principal;
    trail.record({
      at: clock.now(), actor, tenant, role: actor === '' ? '' : role, action: `${request.method} ${request.routeOptions.url}`,
      target: request.auditTarget.slice(0, longestTarget) || targetOf(request), status, address: request.ip,
    });
  }

  app.addHook('onRequest', async (request) => {
    if (trail.full && concerns(request)) throw unwritable();
  });
  app.addHook('preHandler', async (request) => {
    // A WebSocket answers by other means: no response ends it. An offer of anything else is passed over, and answered as if it were not there.
    if (leavesHttp(request.raw)) record(request, 101);
  });
  app.addHook('onSend', async (request, reply: FastifyReply) => {
    const { needs = 'admin' } = request.routeOptions.config;
    if (request.audited || needs !== 'admin' || request.method === 'GET' || request.method === 'HEAD' || !concerns(request)) return;
    record(request, reply.statusCode);
    if (reply.statusCode < 400) await trail.written();
  });
  app.addHook('onResponse', async (request, reply) => record(request, reply.statusCode));
}

/** For what is done over a socket: counted by the limits, recorded as a request is. */
export const recordedLedger = (limits: Pick<Ledger, 'count' | 'tap'>, trail: AuditTrail, clock: Clock): Ledger => ({
  async count(principal, of, reply) {
    if (trail.full) throw unwritable();
    await limits.count(principal, of, reply);
  },
  tap: limits.tap,
  record({ id: actor, tenant, role }, { target, ...deed }) {
    trail.record({ at: clock.now(), actor, tenant, role, target: target.slice(0, longestTarget), ...deed });
  },
});

const unwritable = (): SaccadeError => new SaccadeError('metadata_unavailable', 'The audit trail cannot be written.');

/** Parameters of the route and the query, without those that are credentials. */
function targetOf(request: FastifyRequest): string {
  const { ticket: _, password: __, ...query } = (request.query ?? {}) as Record<string, unknown>;
  const all = { ...(request.params as object), ...query };
  return Object.keys(all).length === 0 ? '' : JSON.stringify(all).slice(0, longestTarget);
}
