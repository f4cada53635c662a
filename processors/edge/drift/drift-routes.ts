/** GET /v1/drift: how each stream stands beside what is normal for it. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Clock } from '../../../connectors/ports.ts';
import { driftQuerySchema, driftSchema } from '../../../schemas/api/drift.ts';
import { problems } from '../openapi/problems.ts';
import type { AskStore } from '../store-reader.ts';
import { driftOf } from './drift-of.ts';

const schema = {
  tags: ['history'],
  summary: 'Whether the world has changed',
  description: 'The last window of five minutes and the last hour of each source and model beside its reference, the verdicts of those before it, and alerts. A reference is made by `npm run saccade -- drift reference`.',
  querystring: driftQuerySchema,
  response: { 200: driftSchema, ...problems('store_unavailable') },
};

export function driftRoutes(server: FastifyInstance, { ask, clock }: { readonly ask: AskStore; readonly clock: Clock }): void {
  server.withTypeProvider<ZodTypeProvider>().get('/v1/drift', { schema, config: { needs: 'viewer', scope: 'history' } }, (request) =>
    driftOf(request.principal.tenant, request.query, { ask, now: clock.now() }));
}
