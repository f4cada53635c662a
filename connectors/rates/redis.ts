/** Requests counted in Redis, for all edges together. Redis away, each edge counts for itself: the limits are then looser, and nobody is shut out. */
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import type { RateCounter } from '../ports.ts';
import { redisClient, type RedisServer } from '../redis-client.ts';
import { counted } from './counted.ts';

export interface RedisRatesOptions extends RedisServer {
  readonly log: { info(message: string): void; warn(message: string): void };
}

/** Connects by itself, and again whenever the connection is lost. Never rejects. */
export function redisRates({ log, ...server }: RedisRatesOptions): RateCounter {
  const client = redisClient(server, 'saccade-rates');
  let away = false;
  client.on('error', (error: Error) => {
    if (!away) log.warn(`Requests are counted in this process until Redis answers: ${error.message}`);
    away = true;
  });
  client.on('ready', () => {
    if (away) log.info('Requests are counted in Redis again');
    away = false;
  });

  const limiters = new Map<string, RateLimiterRedis>();
  function limiter(requests: number, seconds: number): RateLimiterRedis {
    const name = `${requests}/${seconds}`;
    const found = limiters.get(name);
    if (found) return found;
    const options = { keyPrefix: `saccade:rate:${name}`, points: requests, duration: seconds };
    const made = new RateLimiterRedis({ ...options, storeClient: client, rejectIfRedisNotReady: true, insuranceLimiter: new RateLimiterMemory(options) });
    limiters.set(name, made);
    return made;
  }

  return {
    kind: 'redis',
    take: (key, { requests, seconds }, many) => counted(limiter(requests, seconds), key, many),
    giveBack: async (key, { requests, seconds }) => void (await limiter(requests, seconds).reward(key)),
    async close() {
      client.disconnect();
    },
  };
}
