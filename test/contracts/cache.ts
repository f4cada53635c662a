/** What every cache does. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cache } from '../../connectors/ports.ts';

export interface CacheUnderTest {
  readonly cache: Cache;
  /** Lets at least so many milliseconds of the cache's own time go by. */
  pass(ms: number): Promise<void>;
}

/** `make` gives one that holds nothing. */
export function cacheContract(name: string, make: () => Promise<CacheUnderTest>, options: { skip?: string | false } = {}): void {
  describe(name, options, () => {
    const one = async (cache: Cache, key: string): Promise<Buffer | null> => (await cache.get([key]))[0]!;
    const long = 600_000;

    test('gives back what was set, each in its place', async () => {
      const { cache } = await make();
      assert.deepEqual(await cache.get(['a', 'b']), [null, null]);
      await cache.set('a', Buffer.from([0, 255, 1]), long);
      await cache.set('ä:b', Buffer.alloc(0), long);
      assert.deepEqual(await cache.get(['a', 'none', 'ä:b', 'a']), [Buffer.from([0, 255, 1]), null, Buffer.alloc(0), Buffer.from([0, 255, 1])]);
      assert.deepEqual(await cache.get([]), []);
      await cache.close();
    });

    test('the last value counts', async () => {
      const { cache } = await make();
      await cache.set('a', Buffer.from('1'), long);
      await cache.set('a', Buffer.from('2'), long);
      assert.equal(String(await one(cache, 'a')), '2');
      await cache.close();
    });

    test('keeps its own copy', async () => {
      const { cache } = await make();
      const value = Buffer.from('before');
      const set = cache.set('a', value, long);
      value.fill('x');
      await set;
      assert.equal(String(await one(cache, 'a')), 'before');
      await cache.close();
    });

    test('forgets after the time to live, counted from the last set', async () => {
      const { cache, pass } = await make();
      await cache.set('a', Buffer.from('1'), 200);
      await cache.set('b', Buffer.from('1'), 200);
      await cache.set('b', Buffer.from('2'), long);
      await cache.set('never', Buffer.from('1'), 0);
      assert.equal(await one(cache, 'never'), null);
      await pass(250);
      assert.equal(await one(cache, 'a'), null);
      assert.equal(String(await one(cache, 'b')), '2');
      await cache.close();
    });
  });
}
