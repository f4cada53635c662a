/** What an orchestrator asks of any process, with an edge or without one. */
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

export interface OpsOptions {
  readonly metrics: Registry;
  /** What keeps the process from working, by component; empty when all is well. */
  troubles(): Record<string, string>;
  /** What works, but not as it was asked to, by component. */
  degraded?(): Record<string, string>;
  readonly startedAt: number;
}

export function opsRoutes(app: FastifyInstance, { metrics, troubles, degraded, startedAt }: OpsOptions): void {
  app.get('/health', () => ({ status: 'ok', uptime_seconds: Math.round((Date.now() - startedAt) / 1000) }));
  app.get('/ready', (_request, reply) => {
    const found = troubles();
    const poorly = degraded?.() ?? {};
    const [ready, well] = [found, poorly].map((which) => Object.keys(which).length === 0);
    const status = ready ? (well ? 'ready' : 'degraded') : 'not_ready';
    return reply.code(ready ? 200 : 503).send({ status, ...(ready ? {} : { troubles: found }), ...(well ? {} : { degraded: poorly }) });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
}
