/** The SETTINGS at the end of a question, such as dashboards write: `SETTINGS max_execution_time = 10`. */
import { isPassedOn } from './client-settings.ts';
import { isSign, isWord, type Token } from './lexer.ts';

export interface Apart {
  readonly rest: readonly Token[];
  readonly settings: Readonly<Record<string, string>>;
}

/** Those that a client may give beside its query too, with plain values. Any others stay where they are, to be refused. */
export function settingsApart(tokens: readonly Token[]): Apart {
  // In front of FORMAT stand those of a SELECT, behind it those of the whole.
  const format = isWord(tokens.at(-2), 'FORMAT') ? tokens.slice(-2) : [];
  const settings: Record<string, string> = {};
  for (let end = tokens.length - format.length; end >= 4; end -= 4) {
    const [before, name, sign, value] = tokens.slice(end - 4, end) as [Token, Token, Token, Token];
    const plain = value.kind === 'number' || (value.kind === 'string' && !value.text.includes('\\'));
    if (name.kind !== 'word' || !isPassedOn(name.text) || !isSign(sign, '=') || !plain) break;
    settings[name.text] = value.text.replaceAll("'", '');
    if (isWord(before, 'SETTINGS')) return { rest: [...tokens.slice(0, end - 4), ...format], settings };
    if (!isSign(before, ',')) break;
  }
  return { rest: tokens, settings: {} };
}
