/** What an orchestrator asks of any process, with an edge or without one. */
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

export interface OpsOptions {
  readonly metrics: Registry;
  /** What keeps the process from working, by component; empty when all is well. */
  troubles(): Record<string, string>;
  /** What works, but not as it was asked to, by component. */
  degraded?(): Record<string, string>;
  /** What stands still though nothing is known to keep it, by component: a new process may fare better. */
  stuck?(): Record<string, string>;
  readonly startedAt: number;
}

const config = { needs: 'anyone' } as const;

export function opsRoutes(app: FastifyInstance, { metrics, troubles, degraded, stuck, startedAt }: OpsOptions): void {
  app.get('/health', { config }, (_request, reply) => {
    const found = stuck?.() ?? {};
    const alive = Object.keys(found).length === 0;
    const uptime_seconds = Math.round((Date.now() - startedAt) / 1000);
    return reply.code(alive ? 200 : 503).send({ status: alive ? 'ok' : 'stuck', uptime_seconds, ...(alive ? {} : { stuck: found }) });
  });
  app.get('/ready', { config }, (_request, reply) => {
    const found = troubles();
    const poorly = degraded?.() ?? {};
    const [ready, well] = [found, poorly].map((which) => Object.keys(which).length === 0);
    const status = ready ? (well ? 'ready' : 'degraded') : 'not_ready';
    return reply.code(ready ? 200 : 503).send({ status, ...(ready ? {} : { troubles: found }), ...(well ? {} : { degraded: poorly }) });
  });
  app.get('/metrics', { config }, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
}
