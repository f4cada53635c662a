/** Requests counted in Redis, for all edges together. Redis away, each edge counts for itself: the limits are then looser, and nobody is shut out. */
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import type { RateCounter } from '../ports.ts';
import { counted } from './counted.ts';

export interface RedisRatesOptions {
  /** redis://host:port/database, or rediss:// for TLS. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly log: { info(message: string): void; warn(message: string): void };
}

/** A request waits no longer for its count. */
const commandTimeoutMs = 250;
const silenceMs = 2_000;
const longestRetryMs = 5_000;

/** Connects by itself, and again whenever the connection is lost. Never rejects. */
export function redisRates({ url, username, password, log }: RedisRatesOptions): RateCounter {
  const client = new Redis(url, {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    connectionName: 'saccade-rates',
    connectTimeout: silenceMs,
    commandTimeout: commandTimeoutMs,
    socketTimeout: silenceMs,
    // What cannot be counted there now is counted here: a count that comes later is of no use.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(longestRetryMs, 100 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2),
  });
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
    async close() {
      client.disconnect();
    },
  };
}
