/** OpenAPI 3.1 at /openapi.json, from the schemas that validate: a route that is added with one is in it by itself. */
import swagger from '@fastify/swagger';
import type { FastifyContextConfig, FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';

declare module 'fastify' {
  interface FastifySchema {
    /** Bodies that are not JSON, as JSON Schema by media type: told in the document, beside `body` if there is one, and checked by the route itself. */
    accepts?: Readonly<Record<string, { readonly schema: Readonly<Record<string, unknown>> }>>;
  }
}

const about = {
  title: 'Saccade',
  version: '1',
  description: 'Pictures in, answers out, and what has been seen. Refusals are RFC 9457 problem+json; `code` is what a program decides by.',
};

const tags = [
  { name: 'inference', description: 'A picture and its answer.' },
  { name: 'history', description: 'What has been seen.' },
  { name: 'graphql', description: 'The same in one question.' },
  { name: 'models', description: 'What answers.' },
  { name: 'open inference protocol', description: 'Version 2, with its extension for binary tensors.' },
  { name: 'administration', description: 'Who may.' },
  { name: 'operations', description: 'Of the process.' },
];

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A key, or a token of the issuer that is trusted.' },
  key: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'The same in a header of its own.' },
} as const;

/** Either, unless the route is for anybody; of an edge that asks nobody who they are, or nothing. */
function securityOf({ needs }: FastifyContextConfig, open: boolean): Record<string, string[]>[] {
  if (needs === 'anyone') return [];
  return [...(open ? [{}] : []), ...Object.keys(securitySchemes).map((name) => ({ [name]: [] }))];
}

/** Before any route is added: the document knows those that come after it. `open`: everybody may everything. */
export async function installDocument(app: FastifyInstance, { open }: { readonly open: boolean }): Promise<void> {
  app.setValidatorCompiler(validatorCompiler as Parameters<typeof app.setValidatorCompiler>[0]);
  app.setSerializerCompiler(serializerCompiler as Parameters<typeof app.setSerializerCompiler>[0]);
  const transform = createJsonSchemaTransform({});
  const components = createJsonSchemaTransformObject({});
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: about, tags, components: { securitySchemes } },
    // A route without a schema is not meant for programs of others: the page, its parts, the documentation itself.
    transform: (route) => {
      const { schema, url } = route;
      if (!schema) return { schema: { hide: true }, url };
      const { accepts, ...rest } = schema;
      const described = transform({ ...route, schema: { ...rest, security: securityOf(route.route.config ?? {}, open) } });
      if (!accepts) return described;
      const json = described.schema.body === undefined ? {} : { 'application/json': { schema: described.schema.body } };
      return { ...described, schema: { ...described.schema, body: { content: { ...json, ...accepts } } } };
    },
    transformObject: (document) => withoutUnused(components(document) as unknown as Document) as never,
  });
  app.get('/openapi.json', { config: { needs: 'anyone' } }, () => app.swagger());
}

interface Document {
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

/** Every named schema comes in twice, as it is read and as it is written; only what a route names stays. */
function withoutUnused(document: Document): Document {
  const { schemas = {}, ...others } = document.components ?? {};
  const used = new Set<string>();
  const look = (part: unknown): void => {
    for (const [, name] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name!) || !Object.hasOwn(schemas, name!)) continue;
      used.add(name!);
      look(schemas[name!]);
    }
  };
  look({ ...document, components: others });
  return { ...document, components: { ...others, schemas: Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name))) } };
}
