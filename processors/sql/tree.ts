/** The engine's own reading of a statement, from what EXPLAIN AST answers: a node a line, its depth as leading blanks. */
import { SaccadeError } from '../../connectors/errors.ts';

export interface Node {
  readonly kind: string;
  /** The first word after the kind: the name of a function, table or column. Real names of functions and tables hold no blank. */
  readonly name: string;
  readonly children: readonly Node[];
}

/** Throws internal for anything but one tree. */
export function treeOf(lines: readonly string[]): Node {
  type Growing = Node & { readonly children: Growing[] };
  const path: Growing[] = [];
  for (const line of lines) {
    const depth = /^ */.exec(line)![0].length;
    if (depth > path.length || (depth === 0 && path.length > 0)) throw new SaccadeError('internal', `EXPLAIN AST answers what is no tree: ${line.slice(0, 200)}`);
    const [kind, name] = line.slice(depth).split(' ') as [string, string?];
    const node: Growing = { kind, name: name ?? '', children: [] };
    path.length = depth;
    path.at(-1)?.children.push(node);
    path.push(node);
  }
  if (path.length === 0) throw new SaccadeError('internal', 'EXPLAIN AST answers nothing.');
  return path[0]!;
}
