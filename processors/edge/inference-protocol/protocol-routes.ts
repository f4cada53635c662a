/** /v2: the Open Inference Protocol over the same pipeline, so that its clients need none of ours. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { modelMetadataSchema, protocolErrorSchema, serverMetadataSchema } from '../../../schemas/api/inference-protocol.ts';
import type { Model } from '../../../schemas/model-card.ts';
import { SaccadeError } from '../../../connectors/errors.ts';
import type { ModelCatalog } from '../models/catalog.ts';
import { adviseBy, asProblem, problemBody } from '../problem.ts';
import { outputsOf } from './outputs.ts';

export const tags = ['open inference protocol'];
const anyone = { needs: 'anyone' } as const;
const viewer = { needs: 'viewer' } as const;
const failure = protocolErrorSchema.describe('What was wrong.');
export const failures = { 400: failure, 401: failure, 403: failure, 500: failure };
const unknown = { ...failures, 404: failure, 409: failure.describe('It is being unloaded.') };

export const atVersion = z.object({ model: z.string().max(128), version: z.string().max(32) });
export const ofModel = z.object({ model: z.string().max(128) });

/** As the protocol words what went wrong: one sentence under `error`. */
export function protocolErrors(scope: FastifyInstance): void {
  scope.setErrorHandler((error: unknown, _request: FastifyRequest, reply: FastifyReply) => {
    const { title, detail, status } = problemBody(asProblem(error));
    adviseBy(reply, status);
    return reply.code(status).send({ error: detail === undefined ? title : `${title} ${detail}` });
  });
}

/** Throws not_found when no such model is served, or not in this version, and model_unloading. */
export function modelAt(catalog: ModelCatalog, { model: name, version }: { readonly model: string; readonly version?: string }): Model {
  const model = catalog.served().find(({ card }) => card.name === name);
  if (!model) {
    const served = `(served: ${catalog.served().map(({ card }) => card.name).join(', ')}).`;
    throw catalog.leaving(name) ? new SaccadeError('model_unloading', `'${name}' ${served}`) : new SaccadeError('not_found', `No model '${name.slice(0, 80)}' is served ${served}`);
  }
  if (version !== undefined && version !== model.card.version) throw new SaccadeError('not_found', `Version ${version.slice(0, 32)} of ${name} is not what answers at present; ${model.card.version} is.`);
  return model;
}

export interface ProtocolOptions {
  readonly catalog: ModelCatalog;
  /** Whether a request for inference would be taken. */
  ready(): boolean;
}

const metadataOf = ({ card }: Model) => ({
  name: card.name,
  versions: [card.version],
  platform: 'onnxruntime_onnx',
  inputs: [{ name: 'image', datatype: 'BYTES', shape: [-1] }],
  outputs: outputsOf(card.task),
});

/** Everything but inference. */
export function protocolRoutes(server: FastifyInstance, { catalog, ready }: ProtocolOptions): void {
  const app = server.withTypeProvider<ZodTypeProvider>();

  const about = { tags, summary: 'What this server speaks', response: { 200: serverMetadataSchema, ...failures } };
  app.get('/v2', { schema: about, config: viewer }, () => ({ name: 'saccade', version: '1', extensions: ['binary_tensor_data'] }));

  const live = { tags, summary: 'Whether the server is alive', response: { 200: z.object({ live: z.boolean() }) } };
  app.get('/v2/health/live', { schema: live, config: anyone }, () => ({ live: true }));

  const readiness = z.object({ ready: z.boolean() });
  const able = { tags, summary: 'Whether the server takes requests for inference', response: { 200: readiness, 503: readiness.describe('It does not, at present.') } };
  app.get('/v2/health/ready', { schema: able, config: anyone }, async (_request, reply) => reply.code(ready() ? 200 : 503).send({ ready: ready() }));

  const metadata = { tags, summary: 'What a model takes and answers', response: { 200: modelMetadataSchema, ...unknown } };
  app.get('/v2/models/:model', { schema: { ...metadata, params: ofModel }, config: viewer }, (request) => metadataOf(modelAt(catalog, request.params)));
  app.get('/v2/models/:model/versions/:version', { schema: { ...metadata, params: atVersion }, config: viewer }, (request) => metadataOf(modelAt(catalog, request.params)));

  const modelReady = z.object({ name: z.string(), ready: z.boolean() });
  const answers = { tags, summary: 'Whether a model answers', response: { 200: modelReady, ...unknown, 503: modelReady.describe('It does not, at present.') } };
  const tell = async (at: { readonly model: string; readonly version?: string }, reply: FastifyReply) => {
    modelAt(catalog, at);
    return reply.code(ready() ? 200 : 503).send({ name: at.model, ready: ready() });
  };
  app.get('/v2/models/:model/ready', { schema: { ...answers, params: ofModel }, config: viewer }, async (request, reply) => tell(request.params, reply as unknown as FastifyReply) as never);
  app.get('/v2/models/:model/versions/:version/ready', { schema: { ...answers, params: atVersion }, config: viewer }, async (request, reply) => tell(request.params, reply as unknown as FastifyReply) as never);
}
