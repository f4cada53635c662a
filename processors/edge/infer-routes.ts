/** POST /v1/infer: a picture into `frames`, its answer back from `replies`. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { SaccadeError } from '../../connectors/errors.ts';
import { acceptedSchema, answerSchema } from '../../schemas/api/answer.ts';
import { meantModel } from '../ingest/accept.ts';
import { answerOf } from './answer.ts';
import { type Intake, pictureRefusals } from './intake.ts';
import { resultAt } from './inquiries.ts';
import { problems } from './openapi/problems.ts';
import { asProblem, sendProblem } from './problem.ts';
import { startRequestSpan } from './spans.ts';
import { imageOf, uploads } from './upload.ts';

const query = {
  /** Empty as in a form whose field was left blank. */
  model: z.string().optional().describe('A model that is served; without it the first one.'),
  wait: z.enum(['0', '1']).default('1').describe('0: answer as soon as the picture is accepted, with where its outcome will be.'),
};

const schema = {
  tags: ['inference'],
  summary: 'What is in a picture',
  description: 'The picture as the body, or as the multipart field `image`. A request repeated under one `Idempotency-Key` is the same frame: it is stored once. The key with another picture or model is refused.',
  querystring: z.object(query),
  // Loose: what is not named here is a header of somebody else's, and must stay.
  headers: z.looseObject({ 'idempotency-key': z.string().max(256).optional(), traceparent: z.string().optional().describe('W3C trace context.') }),
  accepts: uploads.one,
  response: {
    200: answerSchema,
    202: acceptedSchema.describe('Accepted: it is in the log, and will have an outcome. `Location` says where.'),
    ...problems(...pictureRefusals),
  },
};

export function inferRoutes(server: FastifyInstance, intake: Intake): void {
  const { clock, metrics, inquiries, rules, admit } = intake;
  const app = server.withTypeProvider<ZodTypeProvider>();

  app.post('/v1/infer', { onRequest: admit, schema, config: { needs: 'operator', scope: 'picture' } }, async (request, reply) => {
    const startedAt = clock.now();
    const { tenant, id } = request.principal;
    const model = meantModel(request.query.model, rules);
    const waits = request.query.wait === '1';
    const image = await imageOf(request);
    const { traceparent: caller, 'idempotency-key': key } = request.headers;
    const span = startRequestSpan('POST /v1/infer', caller || undefined, startedAt);
    let result: string | undefined;
    try {
      const [asked] = await inquiries.ask([{ image, model, key: key || null }], { tenant, id, traceparent: span.traceparent, startedAt, waits });
      if (asked === undefined || asked instanceof SaccadeError) throw asked;
      result = resultAt(asked);
      void reply.header('traceparent', span.traceparent);
      if (!waits) {
        span.end(202);
        return await reply.code(202).header('location', result).send({ id: asked.id, model, status: 'accepted' as const, result });
      }
      const body = answerOf(await asked.answer);
      const produce = asked.ackedAt - asked.acceptedAt;
      const total = clock.now() - startedAt;
      metrics.answered(model, total / 1000);
      span.end(200);
      return await reply.header('server-timing', `produce;dur=${produce}, total;dur=${total}`).send({ ...body, timings_ms: { ...body.timings_ms, produce, total } });
    } catch (error) {
      // So that a caller who complains and the log that tells why speak of one trace.
      void reply.header('traceparent', span.traceparent);
      const problem = asProblem(error);
      metrics.refused(problem.code);
      span.end(problem.status, error);
      // It is accepted, and will have an outcome: the client need not send it again to learn it.
      if (problem.code === 'deadline_exceeded' && result !== undefined) return sendProblem(reply, problem, { result }) as never;
      throw error;
    }
  });
}
