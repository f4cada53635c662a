/** What a document may ask for: counted before any of it is run, since one request can hold a thousand questions. */
import { type DocumentNode, type FragmentDefinitionNode, Kind, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';
import { SaccadeError } from '../../../connectors/errors.ts';

/** Tokens a document may have: parsing it costs by them. */
export const mostTokens = 4_000;
const mostFields = 400;
/** Introspection, as tools ask for it, is deeper than any question about data. */
const deepest = { data: 8, introspection: 16 };

/** Of a field of the root: what it costs to answer. A page costs by its length besides. */
const costs: Readonly<Record<string, number>> = { predictions: 10, result: 10, stats: 40, drift: 40, models: 5, infer: 20 };
const mostCost = 200;

interface Measure {
  fields: number;
  cost: number;
}

/** By name. */
export const fragmentsOf = ({ definitions }: DocumentNode): ReadonlyMap<string, FragmentDefinitionNode> =>
  new Map(definitions.filter((one): one is FragmentDefinitionNode => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));

/** Throws bad_request that names the limit. */
export function checkLimits(document: DocumentNode, operation: OperationDefinitionNode, variables: Readonly<Record<string, unknown>>): void {
  const fragments = fragmentsOf(document);
  const measure: Measure = { fields: 0, cost: 0 };

  function walk({ selections }: SelectionSetNode, depth: number, limit: number, seen: readonly string[]): void {
    for (const selection of selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(selection.name.value);
        // Of itself: validation refuses it, after this.
        if (fragment && !seen.includes(fragment.name.value)) walk(fragment.selectionSet, depth, limit, [...seen, fragment.name.value]);
        continue;
      }
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        walk(selection.selectionSet, depth, limit, seen);
        continue;
      }
      const name = selection.name.value;
      const allowed = depth === 1 && name.startsWith('__') ? deepest.introspection : limit;
      measure.fields += 1;
      if (measure.fields > mostFields) throw tooMuch(`more than ${mostFields} fields`);
      if (depth > allowed) throw tooMuch(`deeper than ${allowed}`);
      if (depth === 1) {
        const first = selection.arguments?.find((argument) => argument.name.value === 'limit')?.value;
        const page = first?.kind === Kind.INT ? Number(first.value) : first?.kind === Kind.VARIABLE ? Number(variables[first.name.value] ?? 50) : name === 'predictions' ? 50 : 0;
        measure.cost += (costs[name] ?? 1) + (Number.isFinite(page) ? Math.max(0, page) / 10 : 0);
        if (measure.cost > mostCost) throw tooMuch(`a cost above ${mostCost} (${Object.entries(costs).map(([field, cost]) => `${field} ${cost}`).join(', ')}; a page one for ten items)`);
      }
      if (selection.selectionSet) walk(selection.selectionSet, depth + 1, allowed, seen);
    }
  }
  walk(operation.selectionSet, 1, deepest.data, []);
}

const tooMuch = (what: string): SaccadeError => new SaccadeError('bad_request', `The query asks for too much: ${what}.`);
