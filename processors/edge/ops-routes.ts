/** What an orchestrator asks of any process, with an edge or without one. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import { healthSchema, readySchema } from '../../schemas/api/operations.ts';
import { problems } from './openapi/problems.ts';

export interface OpsOptions {
  readonly metrics: Registry;
  /** What keeps the process from working, by component; empty when all is well. */
  troubles(): Record<string, string>;
  /** What works, but not as it was asked to, by component. */
  degraded?(): Record<string, string>;
  /** What waits for others to be done, by component: no fault of this process. */
  waiting?(): Record<string, string>;
  /** Models, NAME@VERSION, that answer without having been tried on a picture. */
  unchecked?(): readonly string[];
  /** What stands still though nothing is known to keep it, by component: a new process may fare better. */
  stuck?(): Record<string, string>;
  readonly startedAt: number;
}

const config = { needs: 'anyone' } as const;
const tags = ['operations'];
const prometheus = { description: 'In the format of Prometheus.', content: { 'text/plain': { schema: z.string() } } };

export function opsRoutes(server: FastifyInstance, { metrics, troubles, degraded, waiting, unchecked, stuck, startedAt }: OpsOptions): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  const health = { tags, summary: 'Whether the process is alive', response: { 200: healthSchema, 503: healthSchema.describe('Work stands still: a new process may fare better.') } };
  app.get('/health', { config, schema: health }, async (_request, reply) => {
    const found = stuck?.() ?? {};
    const alive = Object.keys(found).length === 0;
    const uptime_seconds = Math.round((Date.now() - startedAt) / 1000);
    return reply.code(alive ? 200 : 503).send({ status: alive ? ('ok' as const) : ('stuck' as const), uptime_seconds, ...(alive ? {} : { stuck: found }) });
  });
  const ready = { tags, summary: 'Whether it can work, and if not, why', response: { 200: readySchema, 503: readySchema.describe('It cannot work at present.') } };
  app.get('/ready', { config, schema: ready }, async (_request, reply) => {
    const found = troubles();
    const poorly = degraded?.() ?? {};
    const waits = waiting?.() ?? {};
    const untried = unchecked?.() ?? [];
    const [able, well] = [found, poorly].map((which) => Object.keys(which).length === 0);
    const status = able ? (well ? ('ready' as const) : ('degraded' as const)) : ('not_ready' as const);
    return reply.code(able ? 200 : 503).send({ status, ...(able ? {} : { troubles: found }), ...(well ? {} : { degraded: poorly }), ...(Object.keys(waits).length > 0 ? { waiting: waits } : {}), ...(untried.length > 0 ? { unchecked: [...untried] } : {}) });
  });
  // It names sources and models of all tenants.
  app.get('/metrics', { config: { needs: 'viewer', homeOnly: true, audited: false }, schema: { tags, summary: 'Metrics', response: { 200: prometheus, ...problems() } } }, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
}
