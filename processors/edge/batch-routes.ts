/** POST /v1/batch_infer: several pictures in one request, each a frame of its own, all in one send. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { SaccadeError } from '../../connectors/errors.ts';
import { type BatchItem, batchSchema } from '../../schemas/api/batch.ts';
import { checkModel, meantModel } from '../ingest/accept.ts';
import { answerOf } from './answer.ts';
import { type Intake, pictureRefusals } from './intake.ts';
import { type AcceptedInquiry, type Inquiry, resultAt } from './inquiries.ts';
import { problems } from './openapi/problems.ts';
import { asProblem, problemBody } from './problem.ts';
import { startRequestSpan } from './spans.ts';
import { imagesOf, mostImages, uploads } from './upload.ts';

const schema = {
  tags: ['inference'],
  summary: `What is in up to ${mostImages} pictures`,
  description:
    'The pictures as the multipart field `images`, once for each. One item for each comes back, in their order; what is wrong with one is said in its place. ' +
    'Under an `Idempotency-Key` K the picture at index i is the frame of the key K.i.',
  querystring: z.object({
    model: z.string().optional().describe('A model that is served; without it the first one.'),
    wait: z.enum(['0', '1']).default('1').describe('0: answer as soon as the pictures are accepted, with where their outcomes will be.'),
  }),
  headers: z.looseObject({ 'idempotency-key': z.string().max(256).optional(), traceparent: z.string().optional() }),
  accepts: uploads.many,
  response: { 200: batchSchema, 202: batchSchema.describe('Accepted: those without an error are in the log.'), ...problems(...pictureRefusals) },
};

export function batchRoutes(server: FastifyInstance, intake: Intake): void {
  const { clock, metrics, inquiries, rules, config, admitMany } = intake;
  const app = server.withTypeProvider<ZodTypeProvider>();

  const failed = (index: number, error: unknown, result?: string): BatchItem => {
    const problem = asProblem(error);
    metrics.refused(problem.code);
    return { index, error: problemBody(problem, problem.code === 'deadline_exceeded' && result !== undefined ? { result } : {}) };
  };

  async function answered(index: number, asked: AcceptedInquiry, startedAt: number): Promise<BatchItem> {
    try {
      const answer = answerOf(await asked.answer);
      metrics.answered(asked.model, (clock.now() - startedAt) / 1000);
      return { index, answer };
    } catch (error) {
      return failed(index, error, resultAt(asked));
    }
  }

  app.post('/v1/batch_infer', { onRequest: admitMany, schema, config: { needs: 'operator', rate: 'batch', scope: 'picture' } }, async (request, reply) => {
    const startedAt = clock.now();
    const { tenant, id } = request.principal;
    const model = meantModel(request.query.model, rules);
    // Of every picture alike: said once, before any is sent.
    checkModel(model, rules);
    const waits = request.query.wait === '1';
    const images = await imagesOf(request, config.maxBatchBytes);
    const { traceparent: caller, 'idempotency-key': key } = request.headers;
    const span = startRequestSpan('POST /v1/batch_infer', caller || undefined, startedAt);
    void reply.header('traceparent', span.traceparent);
    try {
      const whole = images.flatMap((image, index): (Inquiry & { index: number })[] => (Buffer.isBuffer(image) ? [{ index, image, model, key: key ? `${key}.${index}` : null }] : []));
      const asked = await inquiries.ask(whole, { tenant, id, traceparent: span.traceparent, startedAt, waits });
      const byIndex = new Map(whole.map(({ index }, at) => [index, asked[at]!]));
      const items = await Promise.all(
        images.map((image, index) => {
          const one = byIndex.get(index) ?? image;
          if (one instanceof SaccadeError || Buffer.isBuffer(one)) return failed(index, one);
          if (waits) return answered(index, one, startedAt);
          return { index, accepted: { id: one.id, model, status: 'accepted' as const, result: resultAt(one) } };
        }),
      );
      const status = waits ? 200 : 202;
      span.end(status);
      return await reply.code(status).send({ items, errors: items.filter((item) => 'error' in item).length });
    } catch (error) {
      const problem = asProblem(error);
      metrics.refused(problem.code);
      span.end(problem.status, error);
      throw error;
    }
  });
}
