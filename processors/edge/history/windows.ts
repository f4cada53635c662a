/** Which times a page is looked for in, one after the other. */

export interface Window {
  /** Milliseconds since the epoch, of the time of capture; infinite where nothing bounds it. */
  readonly from: number;
  /** Not in it. */
  readonly to: number;
}

const dayMs = 86_400_000;
const reaches = [dayMs, 30 * dayMs, Infinity];

/**
 * From the newest back, without a gap, each further than the one before: a question about a day reads the parts of its week
 * alone, and most pages are full after the first. What clocks say lies ahead belongs to the first.
 */
export function* windowsBack({ since, until, now }: { readonly since: number; readonly until: number; readonly now: number }): Generator<Window> {
  const newest = Math.min(now, until);
  let to = until;
  for (const reach of reaches) {
    const from = Math.max(since, newest - reach);
    yield { from, to };
    if (from === since) return;
    to = from;
  }
}
