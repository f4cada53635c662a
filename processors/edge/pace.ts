/**
 * How many pictures of one model the pipeline gets at once, over all that ask at this edge: as many as it answers within the
 * target. A thousand clients with a picture now and then fill a queue as well as one with many; only the sum tells. Additive
 * increase and multiplicative decrease, as TCP finds its window (RFC 5681); a queue that comes and goes is told from one that
 * stays by how long answers have been late without a break, as CoDel does (RFC 8289).
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';

export interface Pace {
  /** No more may go at present. */
  readonly full: boolean;
  /** Counts one that goes. */
  take(): void;
  /** One has come back: answered after `tookMs` in the pipeline; null: that says nothing about the pipeline. */
  back(tookMs: number | null): void;
  readonly limit: number;
}

export interface PaceOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** An answer that took longer in the pipeline was late. */
  readonly targetMs: number;
  /** How long all answers have been late before fewer may go; absent: the first late one will do. */
  readonly lateMs?: number;
  /** At first; at most; at least, whatever the answers take (1 unless given). */
  readonly first: number;
  readonly most: number;
  readonly least?: number;
  /** So many are no overload: as long as no more may go, an answer is late only after that; absent: as any other. */
  readonly calm?: { readonly count: number; readonly targetMs: number };
}

const decrease = 0.7;

/** What whoever finds it full is told, by whichever door. */
export const tooMany = (): SaccadeError => new SaccadeError('overloaded', 'Answers would come late.');

export function createPace({ clock, targetMs, lateMs = 0, first, most, least = 1, calm = { count: 0, targetMs } }: PaceOptions): Pace {
  let limit = first;
  let inUse = 0;
  /** When it was lowered last: what was on its way by then tells nothing new. */
  let loweredAt = Number.NEGATIVE_INFINITY;
  /** Since when no answer has been in time; null: the last one was. */
  let lateSince: number | null = null;
  /** The most under way since then: at the end of a queue that was worked off few are left. */
  let among = 0;

  /** What an answer may take where so many may go. */
  const targetOf = (count: number): number => (count <= calm.count ? calm.targetMs : targetMs);

  function inTime(tookMs: number, reached: boolean): void {
    lateSince = null;
    const more = Math.min(most, limit + 1 / limit);
    // Where it was not reached, answers in time do not say that more would be in time too.
    if (reached && tookMs <= targetOf(more)) limit = more;
  }

  function late(now: number, tookMs: number): void {
    if (now - tookMs < loweredAt) return;
    if (lateSince === null) [lateSince, among] = [now, 0];
    among = Math.max(among, inUse + 1);
    if (now - lateSince < lateMs) return;
    // What is in the pipeline is its pace times the time it takes (Little's law): so many would take the target.
    limit = Math.max(limit > calm.count ? calm.count : least, least, Math.min(limit, among) * Math.min(decrease, targetOf(limit) / tookMs));
    loweredAt = now;
    lateSince = null;
  }

  return {
    get limit() {
      return limit;
    },
    get full() {
      return inUse >= Math.floor(limit);
    },
    take() {
      // It has been empty: no queue stands there any more.
      if (inUse === 0) {
        lateSince = null;
        if (limit < first) limit = Math.min(first, 2 * limit);
      }
      inUse += 1;
    },
    back(tookMs) {
      const reached = inUse >= Math.floor(limit);
      inUse -= 1;
      if (tookMs === null) return;
      if (tookMs > targetOf(limit)) late(clock.now(), tookMs);
      else inTime(tookMs, reached);
    },
  };
}

/** One for each model, made when it is first asked for: models come and go. */
export function paceOfEach(make: () => Pace): { of(model: string): Pace; /** Makes none. */ known(model: string): Pace | undefined } {
  const paces = new Map<string, Pace>();
  return {
    of(model) {
      const pace = paces.get(model) ?? make();
      paces.set(model, pace);
      return pace;
    },
    known: (model) => paces.get(model),
  };
}
