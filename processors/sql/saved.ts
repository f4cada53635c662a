/** The questions worth keeping, by name: schemas/queries/NAME.sql. Their first comment says what they answer, and what may be given. */
import { readdirSync, readFileSync } from 'node:fs';
import { SaccadeError } from '../../connectors/errors.ts';

export interface SavedQuery {
  readonly name: string;
  readonly about: string;
  /** What a `{name:Type}` of it is when it is not given, as text. */
  readonly params: Readonly<Record<string, string>>;
  readonly sql: string;
}

const folder = new URL('../../schemas/queries/', import.meta.url);

/** All of them, by name. */
export function savedQueries(from: URL = folder): SavedQuery[] {
  return readdirSync(from)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => {
      const text = readFileSync(new URL(file, from), 'utf8');
      const [, head, sql] = /^((?:--.*\n)+)([^]+)$/.exec(text)!;
      const lines = head!.trim().split('\n').map((line) => line.replace(/^-- ?/, ''));
      const params = lines.flatMap((line) => [...line.matchAll(/^(\w+) = (.*)$/g)].map(([, name, value]) => [name!, value!] as const));
      return { name: file.slice(0, -4), about: lines.filter((line) => !/^\w+ = /.test(line)).join(' '), params: Object.fromEntries(params), sql: sql!.trim() };
    });
}

/** Throws not_found with the names there are, bad_request for a parameter it does not have. */
export function savedQuery(name: string, given: Readonly<Record<string, unknown>> = {}): { readonly sql: string; readonly params: Record<string, unknown> } {
  const all = savedQueries();
  const found = all.find((query) => query.name === name);
  if (!found) throw new SaccadeError('not_found', `No query is saved as ${name.slice(0, 80)}; there are ${all.map((query) => query.name).join(', ')}.`);
  for (const param of Object.keys(given)) {
    if (!Object.hasOwn(found.params, param)) throw new SaccadeError('bad_request', `${name} has no parameter ${param.slice(0, 80)}; it has ${Object.keys(found.params).join(', ') || 'none'}.`);
  }
  return { sql: found.sql, params: { ...found.params, ...given } };
}
