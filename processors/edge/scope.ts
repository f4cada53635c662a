/**
 * What a key is limited to: models by name, sources by name or by how it begins. A route says in its options what of a request that
 * concerns, `config: { scope: 'picture' }`; one that says nothing is not for such keys, so that a route forgotten is a route closed.
 */
import type { FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';

/** Null: all. A source that ends in `*` stands for each that begins so. */
export interface Scope {
  readonly models: readonly string[] | null;
  readonly sources: readonly string[] | null;
}

/**
 * picture: the model in the query, of pictures that are nobody's camera; model: the one in the path; picture of model: both;
 * history: source and model in the query; result: the model in the query, of whichever source;
 * itself: the route sees to it.
 */
export type Scoped = 'picture' | 'model' | 'picture of model' | 'history' | 'result' | 'itself';

/** The source of a picture that comes by a request. */
export const requestSource = 'http';

const fits = (pattern: string, name: string): boolean => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name);
const covers = (allowed: readonly string[] | null, name: string): boolean => allowed === null || (typeof name === 'string' && allowed.some((pattern) => fits(pattern, name)));

export const coversModel = (scope: Scope | undefined, name: string): boolean => covers(scope?.models ?? null, name);
export const coversSource = (scope: Scope | undefined, name: string): boolean => covers(scope?.sources ?? null, name);

/** The name that is meant: the one given, or the only one the key is for. Throws forbidden. */
function meant(kind: 'model' | 'source', allowed: readonly string[] | null, given: string | undefined): string | undefined {
  if (allowed === null) return given;
  const [only, another] = allowed;
  const name = given === undefined || given === '' ? (another === undefined && !only!.endsWith('*') ? only! : undefined) : given;
  if (name !== undefined && covers(allowed, name)) return name;
  throw new SaccadeError('forbidden', `This key is limited to the ${kind}${allowed.length === 1 ? '' : 's'} ${allowed.join(', ')}${name === undefined ? `: name the ${kind}` : ''}.`);
}

/** The model to ask: without a name the first that the key is for. Throws forbidden. */
export function modelWithin(scope: Scope | undefined, given: string | undefined): string | undefined {
  if (!scope?.models) return given;
  return meant('model', scope.models, given === undefined || given === '' ? scope.models[0]! : given);
}

/** Throws forbidden. */
export function sourceWithin(scope: Scope | undefined, source: string): void {
  meant('source', scope?.sources ?? null, source);
}

/** Narrowed to what the key is for. Throws forbidden where several would be meant: one has to be named. */
export function historyWithin<T extends { readonly source?: string | undefined; readonly model?: string | undefined }>(scope: Scope | undefined, asked: T): T {
  if (!scope) return asked;
  const [source, model] = [meant('source', scope.sources, asked.source), meant('model', scope.models, asked.model)];
  return { ...asked, ...(source === undefined ? {} : { source }), ...(model === undefined ? {} : { model }) };
}

/** An outcome does not say of which source it is. Throws forbidden. */
export function resultWithin(scope: Scope | undefined, model: string | undefined): string | undefined {
  if (scope?.sources) throw new SaccadeError('forbidden', 'Results by id are not for keys that are limited to sources.');
  return meant('model', scope?.models ?? null, model);
}

/** Before anything of the body is read: holds the request to what its key is for. Throws forbidden. */
export function holdToScope({ routeOptions, principal, query: inQuery, params: inPath }: FastifyRequest): void {
  const { scope } = principal;
  if (!scope) return;
  const of = routeOptions.config.scope;
  if (of === undefined) throw new SaccadeError('forbidden', 'This is not for keys that are limited to models or sources.');
  // As it came, which may be a list: that is no name, and none of those the key is for.
  const query = inQuery as { source?: string; model?: string };
  const path = inPath as { readonly model?: string; readonly name?: string };
  if (of === 'picture' || of === 'picture of model') sourceWithin(scope, requestSource);
  if (of === 'model' || of === 'picture of model') modelWithin(scope, path.model ?? path.name);
  if (of === 'picture') Object.assign(query, { model: modelWithin(scope, query.model) });
  if (of === 'history') Object.assign(query, historyWithin(scope, query));
  if (of === 'result') Object.assign(query, { model: resultWithin(scope, query.model) });
}
