/** What was measured, for a person: a table, and bars. */
/** As the engine's policy says it. */
export interface Tuned {
  readonly measured: readonly { readonly rows: number; readonly ms: number }[];
  readonly rows: number;
  readonly delayMs: number;
  readonly buckets: readonly number[];
}

const barWidth = 40;

/** `folded`: what was done to the graph when it was loaded, and milliseconds a row without. */
export function tuneTable(key: string, provider: string, { measured, rows: chosen, delayMs, buckets }: Tuned, folded: { readonly ms: number; readonly done: readonly string[] } | null = null): string {
  const slowest = Math.max(...measured.map(({ ms }) => ms));
  const lines = measured.map(({ rows, ms }) => {
    const bar = '█'.repeat(Math.max(1, Math.round((ms / slowest) * barWidth)));
    return `${String(rows).padStart(6)} ${ms.toFixed(2).padStart(9)} ${(1000 / ms).toFixed(0).padStart(8)}  ${bar}${rows === chosen ? '  ◀ chosen' : ''}`;
  });
  return [
    `${key} on ${provider}`,
    '  rows    ms/row   rows/s  (one worker)',
    ...lines,
    `  up to ${chosen} row${chosen === 1 ? '' : 's'} a run, in sizes ${buckets.join(', ')}; a row waits ${delayMs} ms for company`,
    ...(folded ? [`  folded: ${folded.done.join('; ')} (a row takes ${folded.ms.toFixed(2)} ms as its file has it)`] : []),
  ].join('\n');
}
