/** So many at once, in order of arrival: people's questions must leave room for the pipeline's own. */
import { SaccadeError } from '../../connectors/errors.ts';

/** Resolves with how to leave, which may be called twice. Throws overloaded; bad_request when the signal aborts first. */
export type Turn = (signal: AbortSignal) => Promise<() => void>;

/** Who would wait beyond `mayWait` is told to come again. */
export function turns(atOnce: number, mayWait: number): Turn {
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

/**
 * Two lines: a tenant has as many questions in hand as run at once, until what they were answered has been read, and only those wait
 * for the engine, until it is done. So whoever asks much, or does not read, keeps back those of the same tenant alone.
 */
export function turnsByTenant(atOnce: number, mayWait: number): (tenant: string, signal: AbortSignal) => Promise<{ readonly ran: () => void; readonly read: () => void }> {
  const tenants = new Map<string, Turn>();
  // There are never more than those of the tenants' own lines.
  const engine = turns(atOnce, Infinity);
  return async (tenant, signal) => {
    const own = tenants.get(tenant) ?? turns(atOnce, mayWait);
    tenants.set(tenant, own);
    const leaveOwn = await own(signal);
    try {
      const ran = await engine(signal);
      return {
        ran,
        read() {
          ran();
          leaveOwn();
        },
      };
    } catch (error) {
      leaveOwn();
      throw error;
    }
  };
}
