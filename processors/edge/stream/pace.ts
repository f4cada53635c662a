/**
 * How many live frames of one model the pipeline gets at once, over all sessions of this edge: as many as it answers within the
 * target. A thousand cameras with a frame now and then fill a queue as well as one with many; only the sum tells. Additive
 * increase and multiplicative decrease, as TCP finds its window (RFC 5681).
 */
import type { Clock } from '../../../connectors/ports.ts';

export interface Pace {
  /** Whether one more may go now; counts it if so. */
  take(): boolean;
  /** One has come back: answered after `tookMs` in the pipeline; null: that says nothing about the pipeline. */
  back(tookMs: number | null): void;
  readonly limit: number;
}

export interface PaceOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** An answer that took longer in the pipeline was late. */
  readonly targetMs: number;
  /** At first, and at most. */
  readonly first: number;
  readonly most: number;
}

const decrease = 0.7;

export function createPace({ clock, targetMs, first, most }: PaceOptions): Pace {
  let limit = first;
  let inUse = 0;
  /** When it was lowered last: what was on its way by then tells nothing new. */
  let loweredAt = Number.NEGATIVE_INFINITY;

  return {
    get limit() {
      return limit;
    },
    take() {
      if (inUse >= Math.floor(limit)) return false;
      inUse += 1;
      return true;
    },
    back(tookMs) {
      // Where it was not reached, answers in time do not say that more would be in time too.
      const reached = inUse >= Math.floor(limit);
      inUse -= 1;
      if (tookMs === null) return;
      const now = clock.now();
      if (tookMs > targetMs) {
        if (now - tookMs < loweredAt) return;
        limit = Math.max(1, limit * decrease);
        loweredAt = now;
      } else if (reached) limit = Math.min(most, limit + 1 / limit);
    },
  };
}
