/** Requests counted in this process: where it is alone, or where Redis is away. */
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { RateCounter } from '../ports.ts';
import { counted } from './counted.ts';

export function memoryRates(): RateCounter {
  const limiters = new Map<string, RateLimiterMemory>();
  return {
    kind: 'memory',
    take(key, { requests, seconds }, many) {
      const name = `${requests}/${seconds}`;
      const limiter = limiters.get(name) ?? new RateLimiterMemory({ keyPrefix: name, points: requests, duration: seconds });
      limiters.set(name, limiter);
      return counted(limiter, key, many);
    },
    async close() {},
  };
}
