/** POST /v1/sql: a question in SQL over what the asking tenant has seen, in any format; and the questions saved by name. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Ask } from './ask.ts';
import { mediaTypeOf } from './formats.ts';
import { savedQueries, savedQuery } from './saved.ts';

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
const inUrl = z.strictObject({ format: z.string().default('JSON') });

export interface SqlRoutes {
  /** Null while there is no store to ask. */
  readonly ask: Ask | null;
}

export function sqlRoutes(app: FastifyInstance, { ask }: SqlRoutes): void {
  app.get('/v1/sql/saved', { config: { needs: 'viewer' } }, () => ({ queries: savedQueries() }));

  app.post('/v1/sql', { config: { needs: 'viewer' }, bodyLimit }, async (request, reply) => {
    if (!ask) throw new SaccadeError('not_ready', 'This process has no store to ask.');
    const { sql, format, params } = questionOf(request);
    if (JSON.stringify(params).length > paramsLimit) throw new SaccadeError('bad_request', `params are longer than ${paramsLimit} characters.`);
    const answer = await ask(request.principal.tenant, { sql, format, params, signal: gone(reply) });
    return reply.type(mediaTypeOf(answer.format)!).header('x-saccade-query-id', answer.queryId).send(answer.stream);
  });
}

/** Aborts when the client is gone before the answer is out. */
export function gone(reply: FastifyReply): AbortSignal {
  const aborting = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) aborting.abort();
  });
  return aborting.signal;
}

function questionOf(request: FastifyRequest): { sql: string; format: string; params: Record<string, unknown> } {
  if (typeof request.body === 'string') return { sql: request.body, params: {}, ...checked(inUrl, request.query) };
  if (!/^application\/json/.test(request.headers['content-type'] ?? '')) {
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
