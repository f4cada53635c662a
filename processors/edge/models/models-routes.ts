/** GET /v1/models: what answers. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { asSaccadeError, SaccadeError } from '../../../connectors/errors.ts';
import { modelSchema, modelsSchema, type ServedModel } from '../../../schemas/api/models.ts';
import type { Model } from '../../../schemas/model-card.ts';
import { problems } from '../openapi/problems.ts';
import { coversModel, type Scope } from '../scope.ts';
import type { ModelCatalog } from './catalog.ts';

const tags = ['models'];
const config = { needs: 'viewer', scope: 'itself' } as const;

export async function describeModel(catalog: ModelCatalog, { card, labels }: Model): Promise<ServedModel> {
  const { name, version, task, description, input, thresholds } = card;
  const versions = await catalog.versions(name).catch(() => [version]);
  return {
    name,
    current: version,
    task,
    description,
    input: { height: input.height, width: input.width },
    labels: task === 'faces' ? 1 : labels.length,
    thresholds,
    versions: await Promise.all(versions.map((each) => describeVersion(catalog, name, each, each === version))),
  };
}

async function describeVersion(catalog: ModelCatalog, name: string, version: string, current: boolean): Promise<ServedModel['versions'][number]> {
  try {
    const { semantic_version, precision, description, licence, source, sha256 } = await catalog.card(name, version);
    return { version, current, semantic_version, precision, description, licence, source, sha256 };
  } catch (error) {
    // The title alone: the detail names folders of this machine.
    return { version, current, trouble: asSaccadeError(error).title };
  }
}

/** Those that a key is for. */
export const describeModels = (catalog: ModelCatalog, scope: Scope | undefined): Promise<ServedModel[]> =>
  Promise.all(catalog.served().filter(({ card }) => coversModel(scope, card.name)).map((model) => describeModel(catalog, model)));

export function modelsRoutes(server: FastifyInstance, { catalog }: { readonly catalog: ModelCatalog }): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.get('/v1/models', { schema: { tags, summary: 'What is served', response: { 200: modelsSchema, ...problems() } }, config }, async ({ principal }) => ({ models: await describeModels(catalog, principal.scope) }));

  const one = { tags, summary: 'One model that is served', params: z.object({ name: z.string().min(1).max(128) }), response: { 200: modelSchema, ...problems('not_found') } };
  app.get('/v1/models/:name', { schema: one, config: { ...config, scope: 'model' } }, (request) => {
    const model = catalog.served().find(({ card }) => card.name === request.params.name);
    if (!model) throw new SaccadeError('not_found', `No model of this name is served (served: ${catalog.served().map(({ card }) => card.name).join(', ')}).`);
    return describeModel(catalog, model);
  });
}
