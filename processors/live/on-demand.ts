/** A consumer that exists only while it is wanted. */
import type { Clock, LogConsumer } from '../../connectors/ports.ts';

export interface OnDemand {
  want(wanted: boolean): void;
  close(): Promise<void>;
}

const RETRY_MS = 2_000;

/**
 * Opens when first wanted and closes `lingerMs` after it is no longer (a page is often only reloaded). Closed instead of
 * paused, because a paused consumer goes on where it stopped: after a night without viewers it would fetch the night first.
 */
export function onDemand(open: () => Promise<LogConsumer>, clock: Clock, lingerMs: number, failed: (error: unknown) => void): OnDemand {
  const closing = new AbortController();
  let wanted = false;
  let change = new AbortController();
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    let consumer: LogConsumer | null = null;
    while (!closing.signal.aborted) {
      change = new AbortController();
      const changed = AbortSignal.any([change.signal, closing.signal]);
      if (wanted) {
        if (consumer) await clock.sleep(2 ** 31 - 1, changed);
        else {
          try {
            consumer = await open();
          } catch (error) {
            failed(error);
            await clock.sleep(RETRY_MS, changed);
          }
        }
      } else {
        if (consumer) await clock.sleep(lingerMs, changed);
        if (!wanted) break;
      }
    }
    await consumer?.close();
    running = null;
    // Wanted again while it was closing.
    if (wanted && !closing.signal.aborted) running = run();
  }

  return {
    want(now) {
      wanted = now;
      change.abort();
      if (wanted && !closing.signal.aborted) running ??= run();
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}
