/** POST /v1/sql: a question in SQL over what the asking tenant has seen, in any format; and the questions saved by name. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Ask } from '../sql/ask.ts';
import { mediaTypeOf } from '../sql/formats.ts';
import { gone } from '../sql/gone.ts';
import { savedQueries, savedQuery } from '../sql/saved.ts';
import { problems } from './openapi/problems.ts';
import { withOpenDetail } from './problem.ts';

const bodyLimit = 512 * 1024;
const paramsLimit = 8_000;

const value = z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.union([z.string(), z.number(), z.boolean()]))]);
const inBody = z
  .strictObject({
    query: z.string().optional(),
    saved: z.string().optional(),
    format: z.string().default('JSON'),
    params: z.record(z.string().regex(/^\w+$/), value).default({}),
  })
  .refine(({ query, saved }) => (query === undefined) !== (saved === undefined), { error: 'either query or saved is expected' });
const inUrl = z.strictObject({ format: z.string().default('JSON').describe('Where the query is plain text: any output format of ClickHouse that reads no file.') });

const tags = ['history'];
const asking = {
  tags,
  summary: 'SQL over what has been seen',
  description:
    'One SELECT of ClickHouse\'s dialect over the views predictions, detections, embeddings, timings, frames, kept_frames, outcomes, outcomes_by_minute, outcomes_by_hour, labels_by_hour, drift_windows, drift_features and alerts, as JSON with its parameters, as the name of a saved query, or as plain text. ' +
    'It sees the rows of the asking tenant alone, and is ended beyond the limits of time, memory, rows and bytes. The answer comes in the format asked for (JSON, JSONEachRow, CSV, Arrow, Parquet …), whole or not at all.',
  querystring: inUrl,
  accepts: {
    'application/json': { schema: { type: 'object', properties: { query: { type: 'string' }, saved: { type: 'string' }, format: { type: 'string', default: 'JSON' }, params: { type: 'object', additionalProperties: true } } } },
    'text/plain': { schema: { type: 'string' } },
  },
  response: { 200: { description: 'The answer, in the format asked for.', content: { 'application/json': { schema: z.any() } } }, ...problems('forbidden_sql', 'query_failed', 'unsupported_media_type', 'not_found', 'overloaded', 'store_unavailable') },
};
const listing = {
  tags,
  summary: 'The saved queries',
  response: {
    200: z.object({ queries: z.array(z.object({ name: z.string(), about: z.string(), params: z.record(z.string(), z.string()).describe('What may be given, with what it is otherwise.'), sql: z.string() })) }),
    ...problems(),
  },
};

export interface SqlRoutes {
  /** Null while there is no store to ask. */
  readonly ask: Ask | null;
}

export function sqlRoutes(server: FastifyInstance, { ask }: SqlRoutes): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.get('/v1/sql/saved', { schema: listing, config: { needs: 'viewer' } }, () => ({ queries: savedQueries() }));

  app.post('/v1/sql', { schema: asking, config: { needs: 'viewer' }, bodyLimit }, async (request, reply) => {
    if (!ask) throw withOpenDetail(new SaccadeError('store_unavailable', 'This process has no store to ask: set CLICKHOUSE_URL, or let it run the sink too (SACCADE_STAGES).'));
    const { sql, format, params } = questionOf(request);
    if (JSON.stringify(params).length > paramsLimit) throw new SaccadeError('bad_request', `params are longer than ${paramsLimit} characters.`);
    const answer = await ask(request.principal.tenant, { sql, format, params, signal: gone(reply) });
    return reply.type(mediaTypeOf(answer.format)!).header('x-saccade-query-id', answer.queryId).send(answer.stream);
  });
}

function questionOf(request: FastifyRequest): { sql: string; format: string; params: Record<string, unknown> } {
  if (typeof request.body === 'string') return { sql: request.body, params: {}, ...(request.query as z.infer<typeof inUrl>) };
  if (!request.headers['content-type']?.startsWith('application/json')) {
    throw new SaccadeError('unsupported_media_type', 'Send the query as text/plain, or as application/json: {"query": "select …", "format": "JSON", "params": {}}.');
  }
  const { query, saved, format, params } = checked(inBody, request.body);
  return saved === undefined ? { sql: query!, format, params } : { format, ...savedQuery(saved, params) };
}

function checked<T>(shape: z.ZodType<T>, given: unknown): T {
  const result = shape.safeParse(given);
  if (result.success) return result.data;
  throw new SaccadeError('bad_request', result.error.issues.map(({ path, message }) => `${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`).join('; '));
}
