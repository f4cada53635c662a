/** /graphql: POST for queries and mutations, with files too, a WebSocket for subscriptions besides. Loaded when first asked, so that a start does not pay for it. */
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { SaccadeError } from '../../../connectors/errors.ts';
import { problems } from '../openapi/problems.ts';
import type { Vigil } from '../principal.ts';
import { leavesHttp } from '../upgrades.ts';
import type { GraphqlConfig } from './config.ts';
import type { GraphqlEngine } from './engine.ts';
import { type GraphqlOptions, resolversOf } from './resolvers.ts';
import { serveGraphql } from './socket.ts';
import { openSockets } from './sockets.ts';
import { formOf, operationsOf } from './upload.ts';

const body = z.object({
  query: z.string().describe('The document.'),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
});

const answer = z.object({
  data: z.unknown().optional(),
  errors: z.array(z.looseObject({ message: z.string(), extensions: z.object({ code: z.string(), status: z.int() }) })).optional(),
});

const schema = {
  tags: ['graphql'],
  summary: 'A query or a mutation in GraphQL',
  description: 'The schema is `schemas/api/schema.graphql`, and what introspection answers. Pictures for `infer`: in base64 as `image`, or as `file`, of the type Upload, in a form of the GraphQL multipart request specification (`multipart/form-data` with `operations`, `map` and the files). Subscriptions: the same address as a WebSocket, by the protocol graphql-transport-ws.',
  body,
  accepts: { 'multipart/form-data': formOf(body) },
  response: { 200: answer, 400: { description: '`bad_request`: the document is none, asks for too much, or is not what the schema allows.', content: { 'application/json': { schema: answer }, ...problems()[400]!.content } } },
};

/** A document beside a picture in base64. */
const mostDocumentBytes = 64 * 1024;

/** After the WebSocket plug-in. */
export async function graphqlRoutes(server: FastifyInstance, options: GraphqlOptions & { readonly vigil: Vigil; readonly limits: GraphqlConfig }): Promise<void> {
  const sockets = openSockets(options);
  server.addHook('preClose', async () => sockets.close());
  let engine: Promise<GraphqlEngine> | null = null;
  const load = (): Promise<GraphqlEngine> => (engine ??= import('./engine.ts').then(({ graphqlEngine }) => graphqlEngine(resolversOf(options))));
  const { maxImageBytes } = options.intake.rules;
  const bodyLimit = Math.ceil((maxImageBytes * 4) / 3) + mostDocumentBytes;
  const config = { needs: 'viewer', scope: 'itself' } as const;

  const { 400: _own, ...others } = problems('payload_too_large', 'unsupported_media_type', 'overloaded');
  const uploadLimits = { fileBytes: maxImageBytes, totalBytes: bodyLimit, textBytes: mostDocumentBytes };
  const post = {
    schema: { ...schema, response: { ...others, ...schema.response } },
    config,
    bodyLimit,
    onRequest: options.intake.count(bodyLimit),
    async preValidation(request: FastifyRequest) {
      if (request.isMultipart()) request.body = await operationsOf(request, uploadLimits);
    },
  };
  // In a scope of their own: no other route takes a form.
  await server.register(async (scope) => {
    await scope.register(multipart);
    scope.withTypeProvider<ZodTypeProvider>().post('/graphql', post, async (request, reply) => {
      const traceparent = request.headers.traceparent;
      const result = await (await load()).run(request.body, { principal: request.principal, traceparent: typeof traceparent === 'string' ? traceparent : undefined });
      request.auditTarget = result.about;
      if ('stream' in result) {
        void result.stream.return();
        throw new SaccadeError('bad_request', 'A subscription needs a WebSocket with the subprotocol graphql-transport-ws.');
      }
      return reply.code(result.status === 400 ? 400 : 200).type('application/json').send(result.answer as never);
    });
  });

  server.route({
    method: 'GET',
    url: '/graphql',
    exposeHeadRoute: false,
    config,
    onRequest: async (request) => {
      if (leavesHttp(request.raw)) sockets.admit(request.principal);
    },
    handler: () => {
      throw new SaccadeError('upgrade_required', 'Open it as a WebSocket with the subprotocol graphql-transport-ws, or POST.');
    },
    wsHandler(socket, request) {
      if (socket.protocol !== 'graphql-transport-ws') return socket.close(4406, 'Subprotocol not acceptable');
      const { principal } = request;
      try {
        // Again: many may have been let in while none of them was open yet.
        sockets.admit(principal);
      } catch {
        return socket.close(1013, 'Too many sockets are open: try again later');
      }
      serveGraphql(socket, { ...options, engine: load(), principal, address: request.ip, raw: request.raw.socket, sockets });
    },
  });
}
