/**
 * Tells when so much of what a stage is given ends in the dead letters that the stage itself must be at fault: a wrong
 * model, a schema nobody reads. It is then better to stop than to carry a whole stream into the dead letters.
 *
 * Two shares have to be above the limit, over one sliding window: that of all records, and the mean of the shares of each
 * source, where a source has one vote however much it sends. So one camera that floods the stage with noise cannot stop it
 * for the others (its vote is one of many), and neither can many names that send one bad record each (they are few of all
 * records). Where there is one source alone nobody can tell whether it or the stage is at fault: it decides.
 *
 * A picture that is refused by its sender's own fault says nothing about the stage and is not counted at all: neither as
 * dead nor, which would hide a wrong model behind a flood of noise, as a record.
 */
import type { SaccadeError } from '../../connectors/errors.ts';
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
  /** One record of the source has left the stage: as a dead letter for this error, or (null) otherwise. Answers why the stage is to be halted, or null. */
  count(source: string, error: SaccadeError | null): string | null;
}

interface Slice {
  readonly at: number;
  readonly sources: Map<string, Counts>;
  readonly codes: Map<string, number>;
}

/** The window moves by this part of itself. */
const slices = 12;
/** Votes are fractions added up one by one: half of them must not be more than half by rounding. */
const rounding = 1e-6;

const voteOf = ({ records, dead }: Counts): number => (records === 0 ? 0 : dead / records);

function countsOf(of: Map<string, Counts>, source: string): Counts {
  let counts = of.get(source);
  if (!counts) of.set(source, (counts = { records: 0, dead: 0 }));
  return counts;
}

export function deadLetterRatio({ share, windowMs, least }: RatioLimit, clock: Pick<Clock, 'now'>): DeadLetterRatio {
  const width = windowMs / slices;
  let kept: Slice[] = [];
  // The sums over what is kept, carried along: a stage in trouble asks at each of its dead letters, of which there may be
  // thousands a second from thousands of sources.
  let sources = new Map<string, Counts>();
  let whole: Counts = { records: 0, dead: 0 };
  let votes = 0;

  function slice(): Slice {
    const at = Math.floor(clock.now() / width);
    const last = kept.at(-1);
    if (last?.at === at) return last;
    const next: Slice = { at, sources: new Map(), codes: new Map() };
    // Also what lies ahead: the clock was set back, and those would never grow old.
    kept = [...kept.filter((one) => one.at > at - slices && one.at < at), next];
    sumUp();
    return next;
  }

  /** Anew with each slice, so that no rounding error outlives one. */
  function sumUp(): void {
    sources = new Map();
    whole = { records: 0, dead: 0 };
    for (const one of kept) {
      for (const [source, { records, dead }] of one.sources) {
        for (const sum of [countsOf(sources, source), whole]) {
          sum.records += records;
          sum.dead += dead;
        }
      }
    }
    votes = [...sources.values()].reduce((sum, each) => sum + voteOf(each), 0);
  }

  function judge(): string | null {
    const { records, dead } = whole;
    if (records < least || dead <= share * records) return null;
    if (votes <= share * sources.size + rounding) return null;
    const codes = new Map<string, number>();
    for (const one of kept) for (const [code, count] of one.codes) codes.set(code, (codes.get(code) ?? 0) + count);
    const most = [...codes].toSorted(([, a], [, b]) => b - a).slice(0, 3).map(([code, count]) => `${code} ${count}`);
    return `${dead} of ${records} records of the last ${Math.round(windowMs / 1000)} s, from ${sources.size} ${sources.size === 1 ? 'source' : 'sources'}, were dead-lettered (${most.join(', ')})`;
  }

  return {
    count(source, error) {
      if (error?.sendersFault) return null;
      const now = slice();
      const all = countsOf(sources, source);
      const before = voteOf(all);
      for (const each of [countsOf(now.sources, source), all, whole]) {
        each.records += 1;
        if (error) each.dead += 1;
      }
      votes += voteOf(all) - before;
      if (!error) return null;
      now.codes.set(error.code, (now.codes.get(error.code) ?? 0) + 1);
      return judge();
    },
  };
}
