/** What every cache does. `make` gives an empty one that tells the time by `now`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cache } from '../../connectors/ports.ts';

export function cacheContract(name: string, make: (now: () => number) => Promise<Cache>): void {
  describe(name, () => {
    let time = 1_000_000;
    const now = (): number => time;

    test('gives back what was set', async () => {
      const cache = await make(now);
      assert.equal(await cache.get('a'), null);
      await cache.set('a', Buffer.from([0, 255, 1]), 1_000);
      await cache.set('ä:b', Buffer.alloc(0), 1_000);
      assert.deepEqual(await cache.get('a'), Buffer.from([0, 255, 1]));
      assert.equal((await cache.get('ä:b'))?.length, 0);
    });

    test('the last value counts', async () => {
      const cache = await make(now);
      await cache.set('a', Buffer.from('1'), 1_000);
      await cache.set('a', Buffer.from('2'), 1_000);
      assert.equal(String(await cache.get('a')), '2');
    });

    test('keeps its own copy', async () => {
      const cache = await make(now);
      const value = Buffer.from('before');
      await cache.set('a', value, 1_000);
      value.fill('x');
      assert.equal(String(await cache.get('a')), 'before');
    });

    test('forgets after the time to live, counted from the last set', async () => {
      const cache = await make(now);
      await cache.set('a', Buffer.from('1'), 1_000);
      time += 900;
      assert.equal(String(await cache.get('a')), '1');
      await cache.set('b', Buffer.from('1'), 1_000);
      time += 100;
      assert.equal(await cache.get('a'), null);
      assert.equal(String(await cache.get('b')), '1');
    });
  });
}
