import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryCache } from '../connectors/cache/memory.ts';
import { cacheContract } from './contracts/cache.ts';

cacheContract('the cache in this process', async () => {
  let time = 1_000_000;
  return { cache: memoryCache({ maxBytes: 100_000, clock: { now: () => time } }), pass: async (ms) => void (time += ms) };
});

const clock = { now: () => 0 };

test('makes room by forgetting what was used least recently', async () => {
  const cache = memoryCache({ maxBytes: 3_500, clock });
  for (const key of ['a', 'b', 'c']) await cache.set(key, Buffer.alloc(1_000), 1);
  await cache.get(['a']);
  await cache.set('d', Buffer.alloc(1_000), 1);
  const left = (await cache.get(['a', 'b', 'c', 'd'])).map((value) => value !== null);
  assert.deepEqual(left, [true, false, true, true]);
});

test('stays within its bytes, however often a key is set, and counts the keys too', async () => {
  const cache = memoryCache({ maxBytes: 10_000, clock });
  for (let i = 0; i < 1_000; i += 1) await cache.set('same', Buffer.alloc(1_000), 1);
  await cache.set('other', Buffer.alloc(1_000), 1);
  assert.notDeepEqual(await cache.get(['same']), [null]);
  for (let i = 0; i < 1_000; i += 1) await cache.set(`${i}`.padEnd(1_000, 'k'), Buffer.alloc(0), 1);
  const kept = await cache.get(Array.from({ length: 1_000 }, (_, i) => `${i}`.padEnd(1_000, 'k')));
  assert.equal(kept.filter((value) => value !== null).length, 8);
});

test('does not keep what is larger than itself, nor forget everything for it', async () => {
  const cache = memoryCache({ maxBytes: 2_000, clock });
  await cache.set('a', Buffer.alloc(100), 1);
  await cache.set('large', Buffer.alloc(5_000), 1);
  assert.deepEqual((await cache.get(['large', 'a'])).map((value) => value?.length), [undefined, 100]);
});
