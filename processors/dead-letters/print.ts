/** How dead letters look on a terminal. */
import type { DeadLetter } from './letter.ts';
import type { Mark } from './marks.ts';

/** Keys and messages are a producer's: an escape sequence in one must not reach the terminal. */
export const plain = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '·');

export const when = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

const clip = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

export const count = (n: number, what = 'dead letter'): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** Columns as wide as their longest cell; the detail comes last and may run on. */
export function table(letters: readonly (DeadLetter & { readonly handled: Mark | null })[]): string[] {
  const rows = letters.map(({ id, timestamp, source, stage, code, detail, replays, handled }) => [
    id,
    when(timestamp),
    source === null ? '(no key)' : clip(plain(source), 32),
    plain(stage),
    plain(code),
    [handled ? `[${handled.action}]` : '', replays > 0 ? `[replayed ${replays}×]` : '', clip(plain(detail), 160)].filter((part) => part !== '').join(' '),
  ]);
  const all = [['id', 'when', 'source', 'stage', 'code', 'detail'], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  '));
}
