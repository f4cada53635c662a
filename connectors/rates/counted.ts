/** One request, counted: the library answers what is left, and throws the same when nothing is. */
import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import type { Counted } from '../ports.ts';

export async function counted(limiter: RateLimiterAbstract, key: string): Promise<Counted> {
  const read = ({ remainingPoints, msBeforeNext }: RateLimiterRes, allowed: boolean): Counted => ({ allowed, remaining: remainingPoints, resetMs: Math.max(0, msBeforeNext) });
  try {
    return read(await limiter.consume(key), true);
  } catch (error) {
    if (error instanceof RateLimiterRes) return read(error, false);
    throw error;
  }
}
