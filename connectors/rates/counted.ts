/** Requests, counted: the library answers what is left, and throws the same when that is too little. */
import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import type { Counted } from '../ports.ts';

export async function counted(limiter: RateLimiterAbstract, key: string, many = 1): Promise<Counted> {
  // What is refused is counted too, so of what goes beyond the limit, the part before it is nobody else's.
  const granted = ({ consumedPoints }: RateLimiterRes): number => Math.min(many, Math.max(0, limiter.points - (consumedPoints - many)));
  const read = (result: RateLimiterRes, allowed: boolean): Counted => ({ allowed, granted: allowed ? many : granted(result), remaining: result.remainingPoints, resetMs: Math.max(0, result.msBeforeNext) });
  try {
    return read(await limiter.consume(key, many), true);
  } catch (error) {
    if (error instanceof RateLimiterRes) return read(error, false);
    throw error;
  }
}
