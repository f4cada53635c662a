/**
 * The tokens of a statement as the engine itself has written it (formatQuerySingleLine): no comments, no here-documents, every
 * identifier that is no plain word in backquotes. That is far less than SQL as people write it, and what is not in it is refused.
 */
import { SaccadeError } from '../../connectors/errors.ts';

export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'sign';
  /** As it stands there; of a quoted identifier, its name. */
  readonly text: string;
  readonly at: number;
  readonly end: number;
}

const shapes: readonly (readonly [Token['kind'], RegExp])[] = [
  ['word', /[A-Za-z_]\w*/y],
  ['quoted', /`((?:[^`\\]|\\[^])*)`/y],
  ['string', /'(?:[^'\\]|\\[^])*'/y],
  ['number', /\d[\w.]*(?:(?<=[eEpP])[+-]\d+)?/y],
  ['sign', /->|::|==|!=|<>|<=>|<=|>=|\|\||[-()[\],.;+*/%=<>!?:{}^@~]/y],
];

/** Throws bad_request for a character that stands in no such text. */
export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    while (sql[at] === ' ' || sql[at] === '\n') at++;
    if (at >= sql.length) return tokens;
    const token = tokenAt(sql, at);
    tokens.push(token);
    at = token.end;
  }
}

function tokenAt(sql: string, at: number): Token {
  // What begins a comment in text of another origin has no business in this one.
  if (!/^(--|\/\*)/.test(sql.slice(at, at + 2))) {
    for (const [kind, shape] of shapes) {
      shape.lastIndex = at;
      const match = shape.exec(sql);
      if (match) return { kind, text: kind === 'quoted' ? nameOf(match[1]!) : match[0], at, end: shape.lastIndex };
    }
  }
  throw new SaccadeError('bad_request', `The query has something that is not understood at ${JSON.stringify(sql.slice(at, at + 20))}.`);
}

/** A line break in a name could pass for a line of its own wherever names are listed. */
function nameOf(inner: string): string {
  // eslint-disable-next-line no-control-regex
  if (/[\\\u0000-\u001f\u007f]/.test(inner)) throw new SaccadeError('bad_request', 'A name in the query holds a backslash or a control character.');
  return inner;
}

export const isName = (token: Token | undefined): token is Token => token?.kind === 'word' || token?.kind === 'quoted';
export const isSign = (token: Token | undefined, text: string): boolean => token?.kind === 'sign' && token.text === text;
/** An unquoted word, whatever its case: a keyword, where one may stand. */
export const isWord = (token: Token | undefined, text: string): boolean => token?.kind === 'word' && token.text.toUpperCase() === text;
