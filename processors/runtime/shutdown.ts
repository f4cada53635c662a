/** Stops what was started, last first, each within a limit: a part that hangs must not keep the others from ending. */
import type { Clock } from '../../connectors/ports.ts';
import type { Logger } from './logger.ts';

export interface Shutdown {
  /** Registers what to do at the end; runs last registered first. */
  add(name: string, stop: () => Promise<void> | void): void;
  /** Runs once; later calls wait for the same end. */
  run(): Promise<void>;
}

export function shutdown(clock: Clock, log: () => Logger, limitMs: number): Shutdown {
  const parts: { name: string; stop: () => Promise<void> | void }[] = [];
  let running: Promise<void> | null = null;

  async function stopAll(): Promise<void> {
    for (const { name, stop } of parts.toReversed()) {
      const limit = new AbortController();
      try {
        const late = clock.sleep(limitMs, limit.signal).then(() => {
          if (!limit.signal.aborted) log().warn({ part: name }, 'did not stop in time');
        });
        await Promise.race([Promise.resolve(stop()), late]);
      } catch (error) {
        log().warn({ part: name, error: String(error) }, 'stopping failed');
      } finally {
        limit.abort();
      }
    }
  }

  return {
    add: (name, stop) => void parts.push({ name, stop }),
    run: () => (running ??= stopAll()),
  };
}
