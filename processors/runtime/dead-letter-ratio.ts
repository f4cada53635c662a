/**
 * Tells when so much of what a stage is given ends in the dead letters that the stage itself must be at fault: a wrong
 * model, a schema nobody reads. It is then better to stop than to carry a whole stream into the dead letters.
 *
 * Two shares have to be above the limit, over one sliding window: that of all records, and the mean of the shares of each
 * source, where a source has one vote however much it sends. So one camera that floods the stage with noise cannot stop it
 * for the others (its vote is one of many), and neither can many names that send one bad record each (they are few of all
 * records). Where there is one source alone nobody can tell whether it or the stage is at fault: it decides.
 */
import type { Clock } from '../../connectors/ports.ts';

export interface RatioLimit {
  /** Of the records, above 0 and below 1. */
  readonly share: number;
  readonly windowMs: number;
  /** Records in the window below which nothing is said. */
  readonly least: number;
}

interface Counts {
  records: number;
  dead: number;
}

export interface DeadLetterRatio {
  /** One record of the source has left the stage: as a dead letter of this code, or (null) otherwise. Answers why the stage is to be halted, or null. */
  count(source: string, code: string | null): string | null;
}

/** The window moves by this part of itself. */
const slices = 12;

export function deadLetterRatio({ share, windowMs, least }: RatioLimit, clock: Pick<Clock, 'now'>): DeadLetterRatio {
  const width = windowMs / slices;
  let kept: (Counts & { readonly at: number; readonly sources: Map<string, Counts>; readonly codes: Map<string, number> })[] = [];

  function slice() {
    const at = Math.floor(clock.now() / width);
    const last = kept.at(-1);
    if (last?.at === at) return last;
    const next = { at, records: 0, dead: 0, sources: new Map<string, Counts>(), codes: new Map<string, number>() };
    // Also what lies ahead: the clock was set back, and those would never grow old.
    kept = [...kept.filter((one) => one.at > at - slices && one.at < at), next];
    return next;
  }

  function sums(): Map<string, Counts> {
    const all = new Map<string, Counts>();
    for (const { sources } of kept) {
      for (const [source, { records, dead }] of sources) {
        const sum = all.get(source) ?? { records: 0, dead: 0 };
        all.set(source, { records: sum.records + records, dead: sum.dead + dead });
      }
    }
    return all;
  }

  function judge(): string | null {
    const records = kept.reduce((sum, each) => sum + each.records, 0);
    const dead = kept.reduce((sum, each) => sum + each.dead, 0);
    if (records < least || dead <= share * records) return null;
    const sources = [...sums().values()];
    const votes = sources.reduce((sum, each) => sum + each.dead / each.records, 0);
    if (votes <= share * sources.length) return null;
    const codes = new Map<string, number>();
    for (const one of kept) for (const [code, count] of one.codes) codes.set(code, (codes.get(code) ?? 0) + count);
    const most = [...codes].toSorted(([, a], [, b]) => b - a).slice(0, 3).map(([code, count]) => `${code} ${count}`);
    return `${dead} of ${records} records of the last ${Math.round(windowMs / 1000)} s, from ${sources.length} ${sources.length === 1 ? 'source' : 'sources'}, were dead-lettered (${most.join(', ')})`;
  }

  return {
    count(source, code) {
      const now = slice();
      const counts = now.sources.get(source) ?? { records: 0, dead: 0 };
      now.sources.set(source, counts);
      for (const each of [now, counts]) each.records += 1;
      if (code === null) return null;
      for (const each of [now, counts]) each.dead += 1;
      now.codes.set(code, (now.codes.get(code) ?? 0) + 1);
      return judge();
    },
  };
}
