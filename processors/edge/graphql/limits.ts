/** What a document may ask for: counted before any of it is run, since one request can hold a thousand questions. */
import { type DocumentNode, type FieldNode, type FragmentDefinitionNode, Kind, type OperationDefinitionNode, type SelectionSetNode, type ValueNode } from 'graphql';
import { SaccadeError } from '../../../connectors/errors.ts';

/** Tokens a document may have: parsing it costs by them. */
export const mostTokens = 4_000;
/** Fields, spreads and inline fragments: as written in the document, and of the operation with each spread in full. */
const mostSelections = 400;
/** Introspection, as tools ask for it, is deeper than any question about data. */
const deepest = { data: 8, introspection: 16 };

/**
 * Of the schema as much may be asked for as tools ask for at a time, by about how many of each there are: `types { fields { name } }` under sixty
 * names is twenty thousand fields to answer, 50 ms of them.
 */
const introspected: ReadonlyMap<string, number> = new Map(Object.entries({ types: 40, fields: 6, args: 2, inputFields: 2, enumValues: 3, directives: 5, ofType: 0.3 }));
const mostIntrospected = 10_000;

/** Of a field of the root: what it costs to answer. A page costs by its length besides. */
const costs: ReadonlyMap<string, number> = new Map(Object.entries({ predictions: 10, result: 10, stats: 40, drift: 40, models: 5, infer: 20, __schema: 40, __type: 5 }));
const mostCost = 200;
/** Of a page whose length is not said: the schema's default. */
const usualPage = 50;

type Variables = Readonly<Record<string, unknown>>;

/** By name. */
export const fragmentsOf = ({ definitions }: DocumentNode): ReadonlyMap<string, FragmentDefinitionNode> =>
  new Map(definitions.filter((one): one is FragmentDefinitionNode => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));

/** Throws bad_request that names the limit. */
export function checkLimits(document: DocumentNode, operation: OperationDefinitionNode, variables: Variables): void {
  // What the operation does not reach is validated as well.
  const written = document.definitions.reduce((sum, one) => sum + ('selectionSet' in one ? selectionsIn(one.selectionSet) : 0), 0);
  if (written > mostSelections) throw tooManySelections();
  const fragments = fragmentsOf(document);
  let [selections, cost, ofSchema] = [0, 0, 0];

  /** `times`: how often the set is answered, of introspection; 0: it is none. */
  function walk(set: SelectionSetNode, depth: number, limit: number, within: readonly string[], times: number): void {
    for (const selection of set.selections) {
      // Not fields alone: of fragments that each spread the next one twice, thirty are a thousand million and have no field.
      selections += 1;
      if (selections > mostSelections) throw tooManySelections();
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(selection.name.value);
        // Of itself: validation refuses it, after this.
        if (fragment && !within.includes(fragment.name.value)) walk(fragment.selectionSet, depth, limit, [...within, fragment.name.value], times);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        walk(selection.selectionSet, depth, limit, within, times);
      } else {
        const name = selection.name.value;
        const isSchema = depth === 1 && name.startsWith('__');
        const allowed = isSchema ? deepest.introspection : limit;
        if (depth > allowed) throw tooMuch(`deeper than ${allowed}`);
        if (depth === 1) cost += costOf(selection, operation, variables);
        if (cost > mostCost) throw tooMuch(`a cost above ${mostCost} (${[...costs].map((each) => each.join(' ')).join(', ')}; a page one for ten items)`);
        ofSchema += times;
        if (ofSchema > mostIntrospected) throw tooMuch('more of the schema than tools ask for; without aliases it is less');
        if (selection.selectionSet) walk(selection.selectionSet, depth + 1, allowed, within, isSchema ? 1 : times * (introspected.get(name) ?? 1));
      }
    }
  }
  walk(operation.selectionSet, 1, deepest.data, [], 0);
}

const selectionsIn = ({ selections }: SelectionSetNode): number => selections.reduce((sum, one) => sum + 1 + ('selectionSet' in one && one.selectionSet ? selectionsIn(one.selectionSet) : 0), 0);

function costOf({ name, arguments: given }: FieldNode, operation: OperationDefinitionNode, variables: Variables): number {
  const own = costs.get(name.value) ?? 1;
  if (name.value !== 'predictions') return own;
  const page = numberOf(given?.find((argument) => argument.name.value === 'limit')?.value, operation, variables);
  return own + Math.max(0, page ?? usualPage) / 10;
}

/** Null: it is none, or is not said. */
function numberOf(value: ValueNode | undefined, operation: OperationDefinitionNode, variables: Variables): number | null {
  if (value?.kind === Kind.INT) return Number(value.value);
  if (value?.kind !== Kind.VARIABLE) return null;
  const name = value.name.value;
  // Own ones only: a variable may be named `constructor`.
  if (Object.hasOwn(variables, name)) return typeof variables[name] === 'number' ? variables[name] : null;
  const fallback = operation.variableDefinitions?.find(({ variable }) => variable.name.value === name)?.defaultValue;
  return fallback?.kind === Kind.INT ? Number(fallback.value) : null;
}

const tooMuch = (what: string): SaccadeError => new SaccadeError('bad_request', `The query asks for too much: ${what}.`);
const tooManySelections = (): SaccadeError => tooMuch(`more than ${mostSelections} fields and fragments`);
