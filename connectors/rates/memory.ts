/** Requests counted in this process: where it is alone, or where Redis is away. */
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { RateCounter } from '../ports.ts';
import { counted } from './counted.ts';

export function memoryRates(): RateCounter {
  const limiters = new Map<string, RateLimiterMemory>();
  function limiter(requests: number, seconds: number): RateLimiterMemory {
    const name = `${requests}/${seconds}`;
    const found = limiters.get(name) ?? new RateLimiterMemory({ keyPrefix: name, points: requests, duration: seconds });
    limiters.set(name, found);
    return found;
  }
  return {
    kind: 'memory',
    take: (key, { requests, seconds }, many) => counted(limiter(requests, seconds), key, many),
    giveBack: async (key, { requests, seconds }) => void (await limiter(requests, seconds).reward(key)),
    async close() {},
  };
}
