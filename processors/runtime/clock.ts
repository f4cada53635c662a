/** The clock of production; tests pass one of their own. */
import { setTimeout as timeout } from 'node:timers/promises';
import type { Clock } from '../../connectors/ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    await timeout(ms, undefined, signal ? { signal } : {}).catch((error: unknown) => {
      if (!signal?.aborted) throw error;
    });
  },
};
