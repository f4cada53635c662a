/** GET /v1/predictions and GET /v1/stats: what has been seen, row by row and counted. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Clock } from '../../../connectors/ports.ts';
import { historyQuerySchema, historySchema } from '../../../schemas/api/history.ts';
import { statsQuerySchema, statsSchema } from '../../../schemas/api/stats.ts';
import { problems } from '../openapi/problems.ts';
import type { AskStore } from '../store-reader.ts';
import { historyOf } from './history.ts';
import { statsOf } from './stats.ts';

const tags = ['history'];
const config = { needs: 'viewer', scope: 'history' } as const;
const refusals = problems('store_unavailable');

export function historyRoutes(server: FastifyInstance, { ask, clock, startedAt }: { readonly ask: AskStore; readonly clock: Clock; readonly startedAt: number }): void {
  const app = server.withTypeProvider<ZodTypeProvider>();

  const predictions = {
    tags,
    summary: 'What has been seen, newest first',
    description: 'One item for each frame and model, whatever became of it. A walk by `cursor` meets every row that was there when it began once, however many are added meanwhile.',
    querystring: historyQuerySchema,
    response: { 200: historySchema, ...refusals },
  };
  app.get('/v1/predictions', { schema: predictions, config }, (request) => historyOf(request.principal.tenant, request.query, { ask, now: clock.now() }));

  const stats = {
    tags,
    summary: 'How much has been seen, and how well it went',
    description: 'Counts, throughput and latency come from the rollups and go as far as `counted_until`; classes and confidence are counted from the rows themselves.',
    querystring: statsQuerySchema,
    response: { 200: statsSchema, ...refusals },
  };
  app.get('/v1/stats', { schema: stats, config }, (request) => statsOf(request.principal.tenant, request.query, { ask, now: clock.now(), startedAt }));
}
