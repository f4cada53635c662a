/** POST /v1/infer: a picture into `frames`, its answer back from `replies`. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock, LogProducer, SchemaRegistry } from '../../connectors/ports.ts';
import { frameIdFromProducer } from '../../schemas/ids.ts';
import { overflowTopic } from '../../schemas/topics.ts';
import { accept, type AcceptRules } from '../ingest/accept.ts';
import type { Quota } from '../ingest/quota.ts';
import { answerOf } from './answer.ts';
import type { EdgeConfig } from './config.ts';
import type { EdgeMetrics } from './metrics.ts';
import { type Expected, notReady, type ReplyDesk } from './reply-desk.ts';
import { startRequestSpan } from './spans.ts';
import { imageOf } from './upload.ts';
import { uploadGate } from './upload-gate.ts';

export interface InferOptions {
  readonly rules: AcceptRules;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly desk: ReplyDesk;
  readonly clock: Clock;
  readonly config: EdgeConfig;
  readonly metrics: EdgeMetrics;
  /** Null: none. */
  readonly quota: Pick<Quota, 'take'> | null;
  /** Why nothing is accepted at present, or null. */
  refusal(): string | null;
}

const source = 'http';

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** `?model=`; without it the first model served. Throws bad_request; accept() refuses a model that is not served. */
function modelOf(request: FastifyRequest, rules: AcceptRules): string {
  const { model } = request.query as { model?: string | string[] };
  if (model === undefined || model === '') return rules.models[0]!;
  if (Array.isArray(model)) throw new SaccadeError('bad_request', 'One model at a time: ?model= is given more than once.');
  return model;
}

export function inferRoutes(app: FastifyInstance, options: InferOptions): void {
  const { rules, desk, clock, config, metrics, quota, refusal } = options;

  const gate = uploadGate({ maxRequests: config.maxWaiting, maxBytes: config.maxUploadBytes, maxImageBytes: rules.maxImageBytes });

  /** Before the body is read: a refusal must not cost the memory it is there to spare. */
  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      if (!desk.ready) throw notReady(desk.stopping);
      const why = refusal();
      if (why !== null) throw new SaccadeError('overloaded', why);
      gate.enter(request, reply);
    } catch (error) {
      metrics.refused((error as SaccadeError).code);
      throw error;
    }
  }

  app.post('/v1/infer', { onRequest: admit, config: { needs: 'operator' } }, async (request, reply) => {
    const startedAt = clock.now();
    const { tenant } = request.principal;
    const model = modelOf(request, rules);
    const image = await imageOf(request);
    // A client that repeats a request under one key asks about the same frame.
    const key = header(request, 'idempotency-key');
    const id = frameIdFromProducer(tenant, source, key ?? `${randomUUID()}-${randomBytes(4).toString('hex')}`);
    const span = startRequestSpan('POST /v1/infer', header(request, 'traceparent'), startedAt);
    let expected: Expected | null = null;
    try {
      const deadline = startedAt + config.requestTimeoutMs;
      expected = desk.expect(deadline);
      // Nobody awaits the answer yet; if its time is up before the frame is sent, that must not count as unhandled.
      expected.answer.catch(() => {});
      const acceptedAt = clock.now();
      const frame = await accept(
        { id, tenant, source, sequence: null, capturedAt: acceptedAt, acceptedAt, image, models: [model], deadline, reply: expected.replyTo },
        rules,
      );
      // What comes over HTTP is one source; without an order to keep, each request above its quota goes over for itself.
      const topic = quota === null || quota.take(source, acceptedAt) ? 'frames' : overflowTopic;
      const value = await options.registry.encode(topic, frame);
      // Requests have no order to keep, so the id is the key: they spread over the partitions.
      await options.producer.send([{ topic, key: id, value, headers: { traceparent: span.traceparent } }]);
      const ackedAt = clock.now();
      const body = answerOf(await expected.answer);
      const total = clock.now() - startedAt;
      metrics.answered(model, total / 1000);
      span.end(200);
      return await reply
        .header('server-timing', `produce;dur=${ackedAt - acceptedAt}, total;dur=${total}`)
        .header('traceparent', span.traceparent)
        .send({ ...body, timings_ms: { ...body.timings_ms, produce: ackedAt - acceptedAt, total } });
    } catch (error) {
      // A frame that was never sent has no answer: its place is for another request.
      expected?.cancel();
      // So that a caller who complains and the log that tells why speak of one trace.
      void reply.header('traceparent', span.traceparent);
      const code = error instanceof SaccadeError ? error.code : 'internal';
      metrics.refused(code);
      span.end(error instanceof SaccadeError ? error.status : 500, error);
      throw error;
    }
  });
}
