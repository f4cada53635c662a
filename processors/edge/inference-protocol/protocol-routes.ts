/** /v2: the Open Inference Protocol over the same pipeline, so that its clients need none of ours. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { modelMetadataSchema, protocolErrorSchema, serverMetadataSchema } from '../../../schemas/api/inference-protocol.ts';
import type { Model } from '../../../schemas/model-card.ts';
import { SaccadeError } from '../../../connectors/errors.ts';
import type { ModelCatalog } from '../models/catalog.ts';
import { isNowhere, methodsByPath, nowhere } from '../methods.ts';
import { adviseBy, asProblem, problemBody } from '../problem.ts';
import { outputsOf } from './outputs.ts';

export const tags = ['open inference protocol'];
const anyone = { needs: 'anyone' } as const;
const viewer = { needs: 'viewer', scope: 'model' } as const;
const failure = protocolErrorSchema.describe('What was wrong.');
export const failures = { 400: failure, 401: failure, 403: failure, 500: failure };
const unknown = { ...failures, 404: failure, 409: failure.describe('It is being unloaded.') };

export const atVersion = z.object({ model: z.string().max(128), version: z.string().max(32) });
export const ofModel = z.object({ model: z.string().max(128) });

/** As the protocol words what went wrong, also with what of it nobody serves here: one sentence under `error`. Before any route of the scope. */
export function protocolErrors(scope: FastifyInstance): void {
  const methodsOf = methodsByPath(scope);
  function refuse(reply: FastifyReply, error: SaccadeError): FastifyReply {
    const { title, detail, status } = problemBody(error);
    adviseBy(reply, status);
    return reply.code(status).send({ error: detail === undefined ? title : `${title} ${detail}` });
  }
  scope.setErrorHandler((error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const problem = asProblem(error);
    return refuse(reply, isNowhere(request, problem) ? nowhere(request, reply, methodsOf) : problem);
  });
  scope.setNotFoundHandler((request, reply) => refuse(reply, nowhere(request, reply, methodsOf)));
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
  /** Whether this model's stages work, as far as this process knows of them. */
  able(model: string): boolean;
}

const metadataOf = ({ card }: Model) => ({
  name: card.name,
  versions: [card.version],
  platform: 'onnxruntime_onnx',
  inputs: [{ name: 'image', datatype: 'BYTES', shape: [-1] }],
  outputs: outputsOf(card.task),
});

/** Everything but inference. In a scope whose prefix is /v2. */
export function protocolRoutes(server: FastifyInstance, { catalog, ready, able }: ProtocolOptions): void {
  const app = server.withTypeProvider<ZodTypeProvider>();

  const about = { tags, summary: 'What this server speaks', response: { 200: serverMetadataSchema, ...failures } };
  app.get('', { schema: about, config: { ...viewer, scope: 'itself' } }, () => ({ name: 'saccade', version: '1', extensions: ['binary_tensor_data'] }));

  const live = { tags, summary: 'Whether the server is alive', response: { 200: z.object({ live: z.boolean() }) } };
  app.get('/health/live', { schema: live, config: anyone }, () => ({ live: true }));

  const readiness = z.object({ ready: z.boolean() });
  const taking = { tags, summary: 'Whether the server takes requests for inference', response: { 200: readiness, 503: readiness.describe('It does not, at present.') } };
  app.get('/health/ready', { schema: taking, config: anyone }, async (_request, reply) => reply.code(ready() ? 200 : 503).send({ ready: ready() }));

  const metadata = { tags, summary: 'What a model takes and answers', response: { 200: modelMetadataSchema, ...unknown } };
  app.get('/models/:model', { schema: { ...metadata, params: ofModel }, config: viewer }, (request) => metadataOf(modelAt(catalog, request.params)));
  app.get('/models/:model/versions/:version', { schema: { ...metadata, params: atVersion }, config: viewer }, (request) => metadataOf(modelAt(catalog, request.params)));

  const modelReady = z.object({ name: z.string(), ready: z.boolean() });
  const whether = { tags, summary: 'Whether a model answers', response: { 200: modelReady, ...unknown, 503: modelReady.describe('It does not, at present.') } };
  const tell = async (at: { readonly model: string; readonly version?: string }, reply: FastifyReply) => {
    modelAt(catalog, at);
    const answers = ready() && able(at.model);
    return reply.code(answers ? 200 : 503).send({ name: at.model, ready: answers });
  };
  app.get('/models/:model/ready', { schema: { ...whether, params: ofModel }, config: viewer }, async (request, reply) => tell(request.params, reply as unknown as FastifyReply) as never);
  app.get('/models/:model/versions/:version/ready', { schema: { ...whether, params: atVersion }, config: viewer }, async (request, reply) => tell(request.params, reply as unknown as FastifyReply) as never);
}
