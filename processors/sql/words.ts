/** A question in the words that the engine runs: the tenant's views for the names people know, its FORMAT and SETTINGS apart. */
import { SaccadeError } from '../../connectors/errors.ts';
import { isName, isSign, isWord, type Token, tokensOf } from './lexer.ts';
import { settingsApart } from './settings-clause.ts';

export interface Names {
  /** The database as people know it, and where the tenant's views lie. */
  readonly shown: string;
  readonly database: string;
  readonly views: ReadonlySet<string>;
}

export interface Worded {
  readonly sql: string;
  /** Of its FORMAT clause, or null. */
  readonly format: string | null;
  /** Of its last SETTINGS clause, as a client could have given them beside the query. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Nothing of the wall rests on this: what comes out is read by the engine again, and checked then. `canonical` is the engine's own text. */
export function reworded(canonical: string, names: Names): Worded {
  const { rest: all, settings } = settingsApart(tokensOf(canonical));
  for (const [i, token] of all.entries()) {
    if (isWord(token, 'SETTINGS') && isName(all[i + 1]) && isSign(all[i + 2], '=')) throw new SaccadeError('forbidden_sql', 'SETTINGS are not allowed in a query, but for those at its end that shape the answer or ask for less.');
    if (isWord(token, 'INTO') && isWord(all[i + 1], 'OUTFILE')) throw new SaccadeError('forbidden_sql', 'INTO OUTFILE is not allowed: the answer comes back to you.');
    if (isSign(token, '{') && isWord(all[i + 3], 'IDENTIFIER')) throw new SaccadeError('forbidden_sql', 'A parameter cannot be an Identifier.');
    // Whoever reads one runs code on its bytes, whoever wrote them.
    if (token.kind === 'string' && /aggregate\s*function/i.test(token.text)) throw new SaccadeError('forbidden_sql', 'States of aggregate functions are not allowed.');
  }
  const formatted = isWord(all.at(-2), 'FORMAT') && all.at(-1)!.kind === 'word';
  const format = formatted ? all.at(-1)!.text : null;
  const tokens = formatted ? all.slice(0, -2) : all;
  const told = metadata(tokens, names);
  return { sql: told ?? rename(canonical.slice(0, tokens.at(-1)?.end ?? 0), tokens, names), format, settings };
}

/** `saccade.predictions` and `system.tables` as they are called in the tenant's database. */
function rename(sql: string, tokens: readonly Token[], { shown, database, views }: Names): string {
  let [out, from] = ['', 0];
  for (const [i, token] of tokens.entries()) {
    const [dot, second] = [tokens[i + 1], tokens[i + 2]];
    if (isWord(token, 'CURRENTDATABASE') && isSign(dot, '(') && isSign(second, ')')) {
      out += `${sql.slice(from, token.at)}'${shown}'`;
      from = second!.end;
    }
    if (!isName(token) || isSign(tokens[i - 1], '.') || !isSign(dot, '.') || !isName(second)) continue;
    const view = token.text === shown ? second.text : token.text.toLowerCase() === 'system' ? `system_${second.text}` : null;
    if (view === null || !views.has(view)) continue;
    out += `${sql.slice(from, token.at)}${database}.${view}`;
    from = second.end;
  }
  return out + sql.slice(from);
}

/** What clients ask when they connect, as a question to the views that answer it; null for anything else. */
function metadata(tokens: readonly Token[], { shown }: Names): string | null {
  const words = tokens.map(({ text }) => text.toUpperCase());
  const like = (from: number): string => {
    if (words.length === from) return '';
    if (!/^I?LIKE$/.test(words[from]!) || tokens[from + 1]?.kind !== 'string' || words.length !== from + 2) throw new SaccadeError('forbidden_sql', 'Of SHOW, only LIKE is understood.');
    return ` AND name ${words[from]} ${tokens[from + 1]!.text}`;
  };
  const of = (name: string | undefined): string => `'${(name ?? shown).replaceAll(/['\\]/g, '')}'`;
  if (words[0] === 'SHOW' && words[1] === 'DATABASES') return `SELECT name FROM system_databases WHERE 1${like(2)} ORDER BY name`;
  if (words[0] === 'SHOW' && words[1] === 'TABLES') {
    const from = words[2] === 'FROM' || words[2] === 'IN';
    return `SELECT name FROM system_tables WHERE database = ${of(from ? tokens[3]?.text : undefined)}${like(from ? 4 : 2)} ORDER BY name`;
  }
  if (/^DESC(RIBE)?$/.test(words[0] ?? '')) {
    const at = words[1] === 'TABLE' ? 2 : 1;
    const qualified = isSign(tokens[at + 1], '.');
    const last = at + (qualified ? 2 : 0);
    if (!isName(tokens[last]) || tokens.length !== last + 1) throw new SaccadeError('forbidden_sql', 'Only views can be described.');
    return `SELECT name, type, '' AS default_type, '' AS default_expression, comment, '' AS codec_expression, '' AS ttl_expression FROM system_columns WHERE database = ${of(qualified ? tokens[at]!.text : undefined)} AND table = ${of(tokens[last]!.text)} ORDER BY position`;
  }
  return null;
}
