/** GET /v1/results/{id}: what became of a frame. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Clock } from '../../../connectors/ports.ts';
import { resultSchema } from '../../../schemas/api/result.ts';
import { problems } from '../openapi/problems.ts';
import type { RecentResults } from '../recent-results.ts';
import type { AskStore } from '../store-reader.ts';
import { resultOf } from './results.ts';

const schema = {
  tags: ['inference'],
  summary: 'What became of a frame',
  description:
    'Use the address that came with the acceptance: by its `accepted` any edge knows that an outcome is to come, and answers 202 until it is there. ' +
    'Without it a frame that is not stored yet is 404, unless this very edge has accepted it.',
  params: z.object({ id: z.uuid().describe('Of the frame.') }),
  querystring: z.object({
    model: z.string().max(128).optional().describe('Only the outcome of this model.'),
    accepted: z.coerce.number().int().min(0).max(8.64e15).optional().describe('When it was accepted, in milliseconds since the epoch.'),
  }),
  response: { 200: resultSchema, 202: resultSchema.describe('Accepted; not every outcome is there yet. `Retry-After` says when to ask again.'), ...problems('not_found', 'store_unavailable') },
};

export function resultsRoutes(server: FastifyInstance, { ask, results, clock }: { readonly ask: AskStore; readonly results: RecentResults; readonly clock: Clock }): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.get('/v1/results/:id', { schema, config: { needs: 'viewer', scope: 'result' } }, async (request, reply) => {
    const { model, accepted } = request.query;
    const result = await resultOf({ tenant: request.principal.tenant, id: request.params.id.toLowerCase(), model, accepted }, { ask, results, now: () => clock.now() });
    if (result.status === 'done') return result;
    return reply.code(202).header('retry-after', '1').send(result);
  });
}
