/** A circuit breaker: what keeps failing is left alone for a while, so that not every caller waits for its time limit. */
import { asSaccadeError, SaccadeError } from '../errors.ts';
import type { Clock } from '../ports.ts';

export interface BreakerOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** Told once when it opens, with the reason, and once when it closes again (null). */
  readonly changed: (reason: SaccadeError | null) => void;
}

/** One slow answer is no outage: a pause of our own event loop looks like one. */
const failuresToOpen = 3;
const shortestPauseMs = 1_000;
const longestPauseMs = 15_000;

/**
 * Runs calls until three in a row have failed; from then on it throws cache_unavailable at once, and lets a single call
 * through after each pause (1 s, doubled up to 15 s) to see whether it is over. After Nygard, Release It! (2007).
 */
export function breaker({ clock, changed }: BreakerOptions): <T>(call: () => Promise<T>) => Promise<T> {
  let failures = 0;
  let open: { readonly reason: SaccadeError; readonly pauseMs: number; until: number } | null = null;

  return async (call) => {
    const opened = open;
    if (opened) {
      if (clock.now() < opened.until) throw opened.reason;
      // The one that tries; until it is back the others are still turned away.
      opened.until = Number.POSITIVE_INFINITY;
    }
    try {
      const result = await call();
      failures = 0;
      if (open) {
        open = null;
        changed(null);
      }
      return result;
    } catch (cause) {
      const reason = asSaccadeError(cause, 'cache_unavailable');
      failures += 1;
      // Of calls that were under way when it opened, only the one that tries may prolong the pause.
      if (failures >= failuresToOpen && open === opened) {
        const pauseMs = opened ? Math.min(opened.pauseMs * 2, longestPauseMs) : shortestPauseMs;
        open = { reason, pauseMs, until: clock.now() + pauseMs };
        if (!opened) changed(reason);
      }
      throw reason;
    }
  };
}
