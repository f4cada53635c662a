/** Limits by principal and class of route: what is left in every answer, 429 when nothing is. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Counted, RateCounter } from '../../connectors/ports.ts';
import { plans, type Rate, type RateClass } from '../../schemas/plans.ts';
import type { Ledger } from '../edge/ledger.ts';
import type { Principal, Role } from '../edge/principal.ts';
import { countedAs, leases } from './leases.ts';

/** Wrong credentials of one address: the right one is not found by trying, but a flood must not reach the database. */
const wrongOnes: Rate = { requests: 30, seconds: 60 };

const byNeed: Record<Role, RateClass> = { viewer: 'read', operator: 'predict', trainer: 'training_upload', admin: 'admin' };

/** Of what is done within a request: counted as what it is, and told in its own words. */
export interface Rates extends Pick<Ledger, 'count' | 'tap'> {
  /** After the principals are installed. */
  install(app: FastifyInstance): void;
  /** Throws rate_limited for an address that has shown too much that was wrong. */
  admit(address: string): Promise<void>;
  refused(address: string): Promise<void>;
}

/** `defaultPlan`: of a principal that none is named for. */
export function rates({ counter, defaultPlan }: { readonly counter: RateCounter; readonly defaultPlan: string }): Rates {
  /** Until when an address is refused: asked of without a round trip. */
  const refusedUntil = new Map<string, number>();

  /** An unknown name (a plan that was renamed) is the default, not no limit. */
  const windowsOf = ({ plan }: Principal, of: RateClass): readonly Rate[] => (plans[plan ?? defaultPlan] ?? plans[defaultPlan] ?? {})[of] ?? [];

  async function count(principal: Principal, of: RateClass, reply?: FastifyReply): Promise<void> {
    const windows = windowsOf(principal, of);
    if (windows.length === 0) return;
    const counts: Counted[] = [];
    // One after the other: what a key's rate refuses is not taken from its tenant's day.
    for (const window of windows) {
      const last = await counter.take(countedAs(principal, of, window), window);
      counts.push(last);
      if (!last.allowed) break;
    }
    if (reply) headers(reply, of, windows, counts);
    const refusing = counts.filter(({ allowed }) => !allowed);
    if (refusing.length === 0) return;
    const wait = seconds(Math.max(...refusing.map(({ resetMs }) => resetMs)));
    void reply?.header('retry-after', wait);
    throw new SaccadeError('rate_limited', `The limit for ${of} is ${windows.map((window) => `${window.requests} in ${window.seconds} s`).join(', ')}; try again in ${wait} s.`);
  }

  return {
    count,
    tap: leases(counter, windowsOf),
    install(app) {
      app.addHook('onRequest', async ({ principal, routeOptions, is404 }, reply) => {
        const { needs = 'admin', rate } = routeOptions.config;
        if (is404 || needs === 'anyone' || principal.id === '') return;
        await count(principal, rate ?? byNeed[needs], reply);
      });
    },
    async admit(address) {
      const until = refusedUntil.get(address);
      if (until === undefined) return;
      if (Date.now() < until) throw new SaccadeError('rate_limited', 'Too many wrong credentials came from this address; try again in a minute.');
      refusedUntil.delete(address);
    },
    async refused(address) {
      const { allowed, resetMs } = await counter.take(`wrong:${address}`, wrongOnes);
      if (allowed) return;
      refusedUntil.set(address, Date.now() + resetMs);
      if (refusedUntil.size > 10_000) refusedUntil.delete(refusedUntil.keys().next().value!);
    },
  };
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

/**
 * RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers has them, one item a window; and the three fields of its
 * earlier versions, which more clients read, for the window that is nearest to its end.
 */
function headers(reply: FastifyReply, of: RateClass, windows: readonly Rate[], counts: readonly Counted[]): void {
  const name = (window: Rate): string => `"${of}-${window.seconds}s"`;
  // A refusal leaves the longer windows unasked.
  const items = counts.map((count, i) => ({ window: windows[i]!, count }));
  const tightest = items.reduce((a, b) => (b.count.remaining / b.window.requests < a.count.remaining / a.window.requests ? b : a));
  void reply.headers({
    'ratelimit-policy': windows.map((window) => `${name(window)};q=${window.requests};w=${window.seconds}`).join(', '),
    ratelimit: items.map(({ window, count }) => `${name(window)};r=${count.remaining};t=${seconds(count.resetMs)}`).join(', '),
    'ratelimit-limit': tightest.window.requests,
    'ratelimit-remaining': tightest.count.remaining,
    'ratelimit-reset': seconds(tightest.count.resetMs),
  });
}
