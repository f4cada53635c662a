/** Sets and gets one value at the Redis its arguments name, in a process of its own: what Node trusts is settled when it starts. */
import { redisCache } from '../../connectors/cache/redis.ts';
import { systemClock } from '../../processors/runtime/clock.ts';

const [url, password] = process.argv.slice(2) as [string, string];
const said: string[] = [];
const note = (message: string): void => void said.push(message);
const cache = await redisCache({ url, password, clock: systemClock, log: { info: note, warn: note } });
const kept = await cache.set('probe', Buffer.from('there'), 10_000).then(
  async () => String((await cache.get(['probe']))[0]),
  (error: Error) => error.message,
);
await cache.close();
process.stdout.write(JSON.stringify({ kept, said }));
