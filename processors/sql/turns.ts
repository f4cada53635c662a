/** So many at once, in order of arrival: people's questions must leave room for the pipeline's own. */
import { SaccadeError } from '../../connectors/errors.ts';

/** Who waits beyond it is told to come again. */
const mayWait = 50;

/** Resolves with how to leave, which may be called twice. Throws overloaded; bad_request when the signal aborts first. */
export function turns(atOnce: number): (signal: AbortSignal) => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (signal) => {
    if (running >= atOnce) {
      if (waiting.length >= mayWait) throw new SaccadeError('overloaded', 'Too many queries wait already.');
      await new Promise<void>((resolve, reject) => {
        const gone = (): void => {
          const at = waiting.indexOf(mine);
          if (at >= 0) waiting.splice(at, 1);
          reject(new SaccadeError('bad_request', 'The client went away before its turn came.'));
        };
        const mine = (): void => {
          signal.removeEventListener('abort', gone);
          resolve();
        };
        if (signal.aborted) return gone();
        signal.addEventListener('abort', gone, { once: true });
        waiting.push(mine);
      });
    } else running++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      // Whoever leaves hands its place over.
      const next = waiting.shift();
      if (next) next();
      else running--;
    };
  };
}
