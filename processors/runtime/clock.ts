/** The clock of production; tests pass one of their own. */
import type { Clock } from '../../connectors/ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  /** Not by node:timers/promises: that makes an error, with its stack, of a wait that is cut short, as the wait for each answer is. */
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener('abort', end);
    }),
};
