/**
 * Watches over the credentials by which something stays open. One question to the database for all of them, once a second:
 * what it costs does not grow with what is open, and no message that was lost can leave a revoked key in.
 */
import { asSaccadeError } from '../../connectors/errors.ts';
import type { AccessStore } from '../../connectors/metadata-port.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { Lapse, Principal, Vigil } from '../edge/principal.ts';
import { graceMs } from './key-check.ts';

export interface VigilKeeper {
  readonly watch: Vigil;
  close(): Promise<void>;
}

export interface VigilOptions {
  readonly access: Pick<AccessStore, 'standing'>;
  readonly clock: Clock;
  readonly log: { warn(fields: object, message: string): void };
}

interface Watched {
  readonly principal: Principal;
  readonly lapsed: (how: Lapse) => void;
}

const everyMs = 1_000;

const keyIdOf = ({ kind, id }: Principal): string | null => (kind === 'key' ? id.slice('key:'.length) : null);

export function keepVigil({ access, clock, log }: VigilOptions): VigilKeeper {
  const watched = new Set<Watched>();
  const closing = new AbortController();
  /** When the database last answered. */
  let askedAt = clock.now();
  let away = false;

  function end(how: Lapse, which: (principal: Principal) => boolean): void {
    for (const one of watched) {
      if (!which(one.principal)) continue;
      watched.delete(one);
      one.lapsed(how);
    }
  }

  async function look(): Promise<void> {
    const startedAt = clock.now();
    end('over', ({ expiresAt }) => expiresAt !== undefined && expiresAt <= startedAt);
    const ids = new Set([...watched].map(({ principal }) => keyIdOf(principal)).filter((id) => id !== null));
    // Nobody to ask about: whether the database is there does not matter either.
    if (ids.size === 0) return void (askedAt = startedAt);
    try {
      const standing = await access.standing([...ids]);
      askedAt = startedAt;
      away = false;
      // Not those that came while it was asked.
      end('over', (principal) => {
        const id = keyIdOf(principal);
        return id !== null && ids.has(id) && !standing.has(id);
      });
    } catch (thrown) {
      if (!away) log.warn({ error: asSaccadeError(thrown).message }, 'whether the keys of open sockets still hold cannot be asked');
      away = true;
      // As long as a request would be let in by such a key, and no longer.
      if (clock.now() - askedAt > graceMs) end('unknown', (principal) => keyIdOf(principal) !== null);
    }
  }

  const looking = (async () => {
    while (!closing.signal.aborted) {
      await look();
      await clock.sleep(everyMs, closing.signal);
    }
  })();

  return {
    watch(principal, lapsed) {
      const one: Watched = { principal, lapsed };
      watched.add(one);
      return () => void watched.delete(one);
    },
    async close() {
      closing.abort();
      await looking;
    },
  };
}
