/**
 * Limits for what comes too often to be counted one by one: pieces of them are taken in advance, about a second's worth at a
 * time, and used up in the process. All edges together never let in more than a window holds.
 */
import type { RateCounter } from '../../connectors/ports.ts';
import type { Rate, RateClass } from '../../schemas/plans.ts';
import { freely, type Tap } from '../edge/ledger.ts';
import type { Principal } from '../edge/principal.ts';

/** What was taken in advance, of one class for one principal. */
interface Lease {
  tokens: number;
  /** The window they were taken from ends. */
  until: number;
  /** Before then there is nothing to be had. */
  refusedUntil: number;
  /** How many are asked for next; for how long they last says whether it was right. */
  size: number;
  takenAt: number;
  asking: boolean;
}

/** For so long a lease should last: one round trip a second, and little that is left unused when a window ends. */
const lastsMs = 1_000;
/** Of a window at most: another edge wants some too. */
const mostOfWindow = 0.1;
const mostTokens = 1_000;
/** Above it, those that hold nothing are forgotten. */
const manyLeases = 10_000;

const daySeconds = 86_400;

/** What a window is counted under. A quota of a day is the tenant's, so that another key is no fresh one; a rate is each key's. */
export const countedAs = ({ id, tenant }: Pick<Principal, 'id' | 'tenant'>, of: RateClass, { seconds }: Rate): string => `${of}:${seconds < daySeconds ? id : `tenant:${tenant}`}`;

/** `windowsOf` answers the limits of a principal; without any everything may come. */
export function leases(counter: RateCounter, windowsOf: (principal: Principal, of: RateClass) => readonly Rate[]): (principal: Principal, of: RateClass) => Tap {
  const held = new Map<string, Lease>();

  function leaseOf(key: string, now: number): Lease {
    const known = held.get(key);
    if (known) return known;
    if (held.size >= manyLeases) for (const [name, { until, refusedUntil, asking }] of held) if (!asking && until <= now && refusedUntil <= now) held.delete(name);
    const fresh: Lease = { tokens: 0, until: 0, refusedUntil: 0, size: 1, takenAt: 0, asking: false };
    held.set(key, fresh);
    return fresh;
  }

  async function renew(lease: Lease, principal: Principal, of: RateClass, windows: readonly Rate[], now: number): Promise<void> {
    // What is left is of a window that is over.
    lease.tokens = 0;
    const most = Math.max(1, Math.min(mostTokens, ...windows.map(({ requests }) => Math.floor(requests * mostOfWindow))));
    lease.size = Math.min(most, now - lease.takenAt < lastsMs ? lease.size * 2 : Math.max(1, Math.floor(lease.size / 2)));
    let granted = lease.size;
    let until = Infinity;
    // One after the other: of a longer window no more than a shorter one lets in.
    for (const window of windows) {
      const count = await counter.take(countedAs(principal, of, window), window, granted);
      granted = count.granted;
      // By the time at which it was asked: on this side of the window's end, whatever the answer took.
      until = Math.min(until, now + count.resetMs);
      if (granted > 0) continue;
      lease.refusedUntil = now + count.resetMs;
      break;
    }
    lease.takenAt = now;
    // Meanwhile some may have been given back.
    lease.tokens += granted;
    lease.until = until;
  }

  return (principal, of) => {
    const windows = windowsOf(principal, of);
    if (windows.length === 0) return freely;
    const key = `${of}:${principal.id}`;
    return {
      take(now) {
        const lease = leaseOf(key, now);
        if (lease.tokens > 0 && now < lease.until) {
          lease.tokens -= 1;
          return 'yes';
        }
        if (now < lease.refusedUntil) return 'no';
        if (!lease.asking) {
          lease.asking = true;
          const asked = (): void => void (lease.asking = false);
          // Where the counter fails, whoever comes next asks again.
          renew(lease, principal, of, windows, now).then(asked, asked);
        }
        return 'later';
      },
      giveBack() {
        const lease = held.get(key);
        if (lease) lease.tokens += 1;
      },
    };
  };
}
