/** The cache in Redis, shared by all processes. Redis away, slow or full costs hits and nothing else. */
import { asSaccadeError, SaccadeError } from '../errors.ts';
import type { Cache, Clock } from '../ports.ts';
import { redisClient, type RedisServer } from '../redis-client.ts';
import { breaker } from './breaker.ts';

export interface RedisCacheOptions extends RedisServer {
  readonly clock: Clock;
  readonly log: { info(message: string): void; warn(message: string): void };
}

/** How long a start waits for the first connection: the first frames then find it, and a start without Redis is not held up. */
const firstConnectionMs = 1_000;
/** Values on their way: beyond it they are let go of, since what is not kept is only inferred again. */
const pendingWriteBytes = 4 * 1024 * 1024;

/** Resolves once connected, or after a second without: it then goes on connecting by itself. Never rejects. */
export async function redisCache({ clock, log, ...server }: RedisCacheOptions): Promise<Cache> {
  let lastError: Error | null = null;
  let refusal: string | null = null;
  let writing = 0;
  const client = redisClient(server, 'saccade');
  client.on('error', (error: Error) => void (lastError = error));

  const guard = breaker({
    clock,
    changed: (reason) => (reason ? log.warn(`Redis is left alone until it answers again: ${reason.message}`) : log.info('Redis answers again')),
  });

  function ready(): void {
    if (client.status !== 'ready') throw new SaccadeError('cache_unavailable', lastError?.message ?? 'It is not connected.', lastError);
  }

  /** A full Redis still reads: what it answers to a write says nothing against look-ups, and is logged once. */
  function written(fault: Error | null): void {
    if (fault && refusal === null) log.warn(`Redis takes no values: ${fault.message}`);
    if (!fault && refusal !== null) log.info('Redis takes values again');
    refusal = fault?.message ?? null;
  }

  const unavailable = (error: unknown): never => {
    throw asSaccadeError(error, 'cache_unavailable');
  };

  const cache: Cache = {
    kind: 'redis',
    get: (keys) =>
      guard(async () => {
        ready();
        return keys.length === 0 ? [] : client.mgetBuffer(...keys).catch(unavailable);
      }),
    async set(key, value, ttlMs) {
      if (ttlMs <= 0) return;
      if (writing + value.length > pendingWriteBytes) throw new SaccadeError('cache_unavailable', 'Too much is being written.');
      writing += value.length;
      try {
        const fault = await guard(async () => {
          ready();
          // A copy: what the socket cannot take at once is written from the bytes as they are by then.
          return client.set(key, Buffer.from(value), 'PX', Math.ceil(ttlMs)).then(
            () => null,
            (error: Error) => (error.name === 'ReplyError' ? error : unavailable(error)),
          );
        });
        written(fault);
        if (fault) unavailable(fault);
      } finally {
        writing -= value.length;
      }
    },
    async close() {
      client.disconnect();
    },
  };

  const limit = new AbortController();
  await Promise.race([new Promise((resolve) => client.once('ready', resolve)), clock.sleep(firstConnectionMs, limit.signal)]);
  limit.abort();
  if (client.status !== 'ready') log.warn(`Redis cannot be reached yet: ${lastError ?? 'no answer'}`);
  return cache;
}
