/** The WebSockets of /graphql: how many there are and whose, what their operations hold in memory, and which have had their time. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Clock } from '../../../connectors/ports.ts';
import type { Principal } from '../principal.ts';
import { checkPlace, isSomebody } from '../socket-places.ts';
import type { GraphqlConfig } from './config.ts';

/** One that is open. */
export interface Served {
  /** Once a second. */
  check(now: number): void;
  close(code: number, reason: string): void;
}

export interface GraphqlSockets {
  /** Throws overloaded, rate_limited when this principal may open none at present. */
  admit(principal: Principal): void;
  /** Answers what to call when it has closed. */
  add(principal: Principal, served: Served): () => void;
  /** Holds what a message of this principal takes until the answered function is called. Throws overloaded, rate_limited when it holds too much itself. */
  hold(principal: Principal, bytes: number): () => void;
  /** Closes all. */
  close(): void;
}

const checkEveryMs = 1_000;

export function openSockets({ limits, clock }: { readonly limits: GraphqlConfig; readonly clock: Clock }): GraphqlSockets {
  const sockets = new Map<Served, Principal>();
  let held = 0;
  const heldBy = new Map<string, number>();
  const closing = new AbortController();

  async function watch(): Promise<void> {
    while (!closing.signal.aborted) {
      await clock.sleep(checkEveryMs, closing.signal);
      const now = clock.now();
      for (const socket of sockets.keys()) socket.check(now);
    }
  }
  void watch();

  return {
    admit: (principal) => checkPlace(sockets, principal, limits),
    add(principal, served) {
      sockets.set(served, principal);
      return () => void sockets.delete(served);
    },
    hold(principal, bytes) {
      // One is always let in, else a bound below the largest message would refuse that for ever.
      if (held > 0 && held + bytes > limits.totalBytes) throw new SaccadeError('overloaded', `${held} bytes of operations are in hand.`);
      const own = heldBy.get(principal.id) ?? 0;
      if (isSomebody(principal) && own > 0 && own + bytes > limits.eachBytes) throw new SaccadeError('rate_limited', `${own} bytes of operations of yours are in hand.`);
      held += bytes;
      heldBy.set(principal.id, own + bytes);
      return () => {
        held -= bytes;
        const left = heldBy.get(principal.id)! - bytes;
        if (left === 0) heldBy.delete(principal.id);
        else heldBy.set(principal.id, left);
      };
    },
    close() {
      closing.abort();
      for (const socket of sockets.keys()) socket.close(1001, 'The edge is stopping');
    },
  };
}
