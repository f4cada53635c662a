/**
 * What a question of people may hold, decided on the engine's own syntax tree: an allow-list of kinds of nodes, of functions and
 * of tables. What is not named here is refused, also what a later ClickHouse may come to know.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import { isFunction, isTableFunction } from './functions.ts';
import type { Node } from './tree.ts';

/** Kinds of nodes that only hold others, columns or constants. */
const harmless = new Set([
  'SelectWithUnionQuery', 'SelectIntersectExceptQuery', 'SelectQuery', 'Subquery', 'WithElement', 'ExpressionList', 'Identifier', 'Literal', 'QueryParameter',
  'TablesInSelectQuery', 'TablesInSelectQueryElement', 'TableJoin', 'ArrayJoin', 'OrderByElement', 'WindowListElement', 'WindowDefinition', 'InterpolateElement',
  'Asterisk', 'QualifiedAsterisk', 'ColumnsRegexpMatcher', 'ColumnsListMatcher', 'QualifiedColumnsRegexpMatcher', 'QualifiedColumnsListMatcher',
  'ColumnsTransformerList', 'ColumnsExceptTransformer', 'ColumnsReplaceTransformer', 'ColumnsReplaceTransformer::Replacement',
]);

/** What people are likely to try, said in their own words. */
const reasons: Readonly<Record<string, string>> = {
  Set: 'SETTINGS are not allowed in a query',
  ColumnsApplyTransformer: 'APPLY is not allowed: write the function around each column',
  SampleRatio: 'SAMPLE is not allowed',
};

/** Whose second argument may be a table. */
const inFunctions = /^(global)?(not)?(null)?in(ignoreset)?$/i;

export interface Allowed {
  /** The database of the tenant's views. */
  readonly database: string;
  readonly views: ReadonlySet<string>;
  /** The name that people know it by. */
  readonly shown: string;
}

const refuse = (why: string): never => {
  throw new SaccadeError('forbidden_sql', `${why}.`);
};

/** Throws forbidden_sql, saying what is not allowed. */
export function checkTree(root: Node, allowed: Allowed): void {
  for (const node of root.children) checkTree(node, allowed);
  if (harmless.has(root.kind)) return;
  if (root.kind === 'TableIdentifier') return checkTable(root.name, allowed);
  if (root.kind === 'TableExpression') return root.children.forEach(checkSource);
  if (root.kind === 'Function') return checkFunction(root, allowed);
  refuse(reasons[root.kind] ?? `This is not allowed in a query: ${root.kind}`);
}

/** An unqualified name is a WITH of the query itself or one of the tenant's views: nothing else is in their database. */
function checkTable(name: string, { database, views, shown }: Allowed): void {
  if (!name.includes('.')) return;
  const [of, view, ...more] = name.split('.');
  if (of === database && views.has(view!) && more.length === 0) return;
  refuse(`There is no table ${name.replace(database, shown)} for you; there are ${[...views].filter((one) => !one.startsWith('system_')).join(', ')}`);
}

/** A table function is a function like any other but for where it stands. */
function checkSource(node: Node): void {
  if (node.kind === 'Function' && !isTableFunction(node.name)) refuse(`The table function ${node.name} is not allowed`);
  if (!['Function', 'Subquery', 'TableIdentifier'].includes(node.kind)) refuse(`This is not allowed after FROM: ${reasons[node.kind] ?? node.kind}`);
}

function checkFunction({ name, children }: Node, allowed: Allowed): void {
  // Table functions too come by here, and only they have these names.
  if (!isFunction(name) && !isTableFunction(name)) refuse(`The function ${name} is not allowed`);
  if (!inFunctions.test(name)) return;
  const [, right] = children[0]?.children ?? [];
  if (right?.kind === 'Identifier' || right?.kind === 'TableIdentifier') checkTable(right.name, allowed);
}
