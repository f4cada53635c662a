/** POST /v2/models/{m}[/versions/{v}]/infer: pictures in a tensor, answers in tensors. */
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { asSaccadeError, SaccadeError } from '../../../connectors/errors.ts';
import { inferRequestSchema, inferResponseSchema, protocolErrorSchema } from '../../../schemas/api/inference-protocol.ts';
import type { Prediction } from '../../../schemas/records.ts';
import { answerOf } from '../answer.ts';
import type { AcceptedInquiry } from '../inquiries.ts';
import { type Intake, pictureRefusals } from '../intake.ts';
import type { Ledger } from '../ledger.ts';
import type { ModelCatalog } from '../models/catalog.ts';
import { startRequestSpan } from '../spans.ts';
import { takeRequest } from './message.ts';
import { render, tensorsOf } from './outputs.ts';
import { picturesOf } from './pictures.ts';
import { timeoutOf } from './parameters.ts';
import { atVersion, failures, modelAt, ofModel, tags } from './protocol-routes.ts';

const lengthHeader = 'inference-header-content-length';
const refused = protocolErrorSchema.describe('What was wrong.');
const binary = { schema: { type: 'string', format: 'binary' } };

const { $schema: _dialect, ...requestSchema } = z.toJSONSchema(inferRequestSchema, { io: 'input' });

const schema = {
  tags,
  summary: 'What a model answers to pictures',
  description:
    'One input, `image`: BYTES [n] or [n, 1], each an encoded JPEG, PNG or WebP (base64 in JSON), or UINT8 [n, height, width, 3], RGB pixels. ' +
    'Each picture takes the same way as one of POST /v1/infer. An Idempotency-Key K makes the picture at index i the frame of the key K.i. ' +
    'Rows with fewer labels or boxes than the longest are filled up with "", 0 and -1; `counts` says how many boxes there are. The parameter `timeout` (microseconds) is how long the answer is waited for, `priority` changes nothing; sequences and shared memory are refused.',
  headers: z.looseObject({
    [lengthHeader]: z.string().optional().describe('Bytes of the JSON, where binary tensors follow it.'),
    'idempotency-key': z.string().max(256).optional(),
    traceparent: z.string().optional(),
  }),
  accepts: { 'application/json': { schema: requestSchema }, 'application/octet-stream': binary },
  response: {
    200: { description: 'The outputs; binary ones follow the JSON.', content: { 'application/json': { schema: inferResponseSchema }, 'application/octet-stream': { schema: z.string() } } },
    ...failures,
    404: refused,
    ...Object.fromEntries(pictureRefusals.map((code) => [new SaccadeError(code).status, refused])),
  },
};

export function protocolInfer(server: FastifyInstance, intake: Intake, catalog: ModelCatalog, ledger: Ledger): void {
  const { clock, metrics, inquiries, config, admitMany } = intake;
  // Whatever it says it is: a client that sends no content type is in the wild, and the bytes tell.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: config.maxBatchBytes }, (_request, body, done) => done(null, body));

  async function answered(asked: AcceptedInquiry | SaccadeError | undefined, index: number, startedAt: number): Promise<Prediction> {
    try {
      if (!asked || asked instanceof SaccadeError) throw asked;
      const prediction = await asked.answer;
      // Throws what a frame without a result ended with.
      answerOf(prediction);
      metrics.answered(asked.model, (clock.now() - startedAt) / 1000);
      return prediction;
    } catch (cause) {
      const error = asSaccadeError(cause);
      metrics.refused(error.code);
      throw new SaccadeError(error.code, `inputs.image, element ${index}: ${error.detail || error.title}`, cause);
    }
  }

  async function infer(request: FastifyRequest, at: { readonly model: string; readonly version?: string }, reply: FastifyReply): Promise<FastifyReply> {
    const startedAt = clock.now();
    const { card } = modelAt(catalog, at);
    const body = await unpacked(request.body, request.headers['content-encoding'], config.maxBatchBytes);
    const length = request.headers[lengthHeader];
    const asked = takeRequest(body, typeof length === 'string' ? length : undefined);
    // Before the body was read it was counted as what a request with one picture is.
    if ((asked.inputs[0]?.shape[0] ?? 0) > 1) await ledger.count(request.principal, 'batch', reply);
    const pictures = await picturesOf(asked.inputs);
    const timeoutMs = timeoutOf(asked);
    // Asked for in vain is told before anything is inferred.
    render(tensorsOf(card.task, []), asked);
    const key = request.headers['idempotency-key'];
    const span = startRequestSpan('POST /v2/infer', typeof request.headers.traceparent === 'string' ? request.headers.traceparent : undefined, startedAt);
    void reply.header('traceparent', span.traceparent);
    try {
      const inquirer = { tenant: request.principal.tenant, id: request.principal.id, traceparent: span.traceparent, startedAt, waits: true, timeoutMs };
      const sent = await inquiries.ask(pictures.map((image, index) => ({ image, model: card.name, key: typeof key === 'string' && key !== '' ? `${key}.${index}` : null })), inquirer);
      const predictions = await Promise.all(sent.map((one, index) => answered(one, index, startedAt)));
      const { outputs, binary: bytes } = render(tensorsOf(predictions[0]!.task ?? card.task, predictions), asked);
      const answer = { model_name: card.name, model_version: predictions[0]!.version ?? card.version, ...(asked.id === undefined ? {} : { id: asked.id }), outputs };
      span.end(200);
      if (bytes === null) return await reply.send(answer);
      const json = Buffer.from(JSON.stringify(answer));
      return await reply.header(lengthHeader, json.length).type('application/octet-stream').send(Buffer.concat([json, bytes]));
    } catch (error) {
      span.end(asSaccadeError(error).status, error);
      throw error;
    }
  }

  const app = server.withTypeProvider<ZodTypeProvider>();
  const options = { onRequest: admitMany, config: { needs: 'operator', scope: 'picture of model' } } as const;
  app.post('/models/:model/infer', { ...options, schema: { ...schema, params: ofModel } }, async (request, reply) => infer(request as unknown as FastifyRequest, request.params, reply as unknown as FastifyReply) as never);
  app.post('/models/:model/versions/:version/infer', { ...options, schema: { ...schema, params: atVersion } }, async (request, reply) => infer(request as unknown as FastifyRequest, request.params, reply as unknown as FastifyReply) as never);
}

const unpackers = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;

/** Throws bad_request, payload_too_large, unsupported_media_type. */
async function unpacked(body: unknown, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  if (!Buffer.isBuffer(body)) throw new SaccadeError('bad_request', 'The request has no body.');
  if (encoding === undefined || encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'deflate') throw new SaccadeError('unsupported_media_type', `header.content-encoding: ${encoding.slice(0, 40)} is not read; gzip and deflate are.`);
  try {
    return await unpackers[encoding](body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw new SaccadeError('payload_too_large');
    throw new SaccadeError('bad_request', `The body is not ${encoding}.`, error);
  }
}
