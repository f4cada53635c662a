/** What every blob store does. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore } from '../../connectors/ports.ts';

const coded = (code: string, retryable: boolean) => (error: unknown) =>
  error instanceof SaccadeError && error.code === code && error.retryable === retryable;

/** `make` gives an empty store that tells the time by `now`. */
export function blobsContract(name: string, make: (now: () => number) => Promise<BlobStore>): void {
  describe(name, () => {
    let time = 1_700_000_000_000;
    const now = (): number => time;

    test('gives back what was put, by the claim it answered', async () => {
      const store = await make(now);
      const [small, large] = [Buffer.from('small'), randomBytes(9_000_000)];
      const claims = [await store.put('frames/2024/a.jpg', small), await store.put('b', large), await store.put('empty', Buffer.alloc(0))];
      assert.equal(new Set(claims).size, 3);
      assert.ok((await store.get(claims[0]!)).equals(small));
      assert.ok((await store.get(claims[1]!)).equals(large));
      assert.equal((await store.get(claims[2]!)).length, 0);
    });

    test('keeps its own copy', async () => {
      const store = await make(now);
      const bytes = Buffer.from('before');
      const claim = await store.put('a', bytes);
      bytes.fill('x');
      assert.equal(String(await store.get(claim)), 'before');
    });

    test('stores the same bytes under the same name once, also at the same time', async () => {
      const store = await make(now);
      const bytes = randomBytes(1_000_000);
      const claims = await Promise.all(Array.from({ length: 8 }, () => store.put('same', bytes)));
      assert.equal(new Set(claims).size, 1);
      assert.ok((await store.get(claims[0]!)).equals(bytes));
      time += 1000;
      assert.equal(await store.expire(1), 1, 'one blob, not eight');
    });

    test('a blob that is not there is missing, which may pass', async () => {
      const store = await make(now);
      await store.put('folder/file', Buffer.from('x'));
      await assert.rejects(store.get('nothing'), coded('blob_missing', true));
      await assert.rejects(store.get('folder/file/below'), coded('blob_missing', true));
    });

    test('refuses every name that could lead out of it', async () => {
      const store = await make(now);
      const names = ['', '.', '..', '../a', 'a/../../b', '/etc/passwd', 'a//b', 'a/', 'a\\..\\b', 'a\0b', '.hidden', 'a/.b', 'C:a', 'ä', 'a'.repeat(600)];
      for (const each of names) {
        await assert.rejects(store.put(each, Buffer.from('x')), coded('invalid_field', false), `put ${each}`);
        await assert.rejects(store.get(each), coded('invalid_field', false), `get ${each}`);
      }
    });

    test('deletes by age, and only by age', async () => {
      const store = await make(now);
      await store.put('old/a', Buffer.from('a'));
      await store.put('old/b', Buffer.from('b'));
      time += 60_000;
      await store.put('young', Buffer.from('c'));
      await store.put('old/b', Buffer.from('b'));
      time += 1_000;
      assert.equal(await store.expire(30_000), 1, 'b was put again');
      await assert.rejects(store.get('old/a'), coded('blob_missing', true));
      assert.equal(String(await store.get('old/b')), 'b');
      assert.equal(String(await store.get('young')), 'c');
      assert.equal(await store.expire(30_000), 0);
    });

    test('deletes by an age that depends on the name', async () => {
      const store = await make(now);
      for (const each of ['short/a', 'long/a', 'short/b']) await store.put(each, Buffer.from('x'));
      time += 60_000;
      assert.equal(await store.expire((each) => (each.startsWith('short/') ? 30_000 : Infinity)), 2);
      assert.equal(String(await store.get('long/a')), 'x');
    });

    test('trims to a number of bytes, the oldest first', async () => {
      const store = await make(now);
      for (const each of ['folder/a', 'b', 'folder/c']) {
        await store.put(each, Buffer.alloc(100));
        time += 60_000;
      }
      await store.put('folder/a', Buffer.alloc(100));
      assert.deepEqual(await store.trim(300), []);
      assert.deepEqual(await store.trim(299), ['b'], 'a was put again');
      await assert.rejects(store.get('b'), coded('blob_missing', true));
      assert.equal((await store.get('folder/a')).length, 100);
      assert.deepEqual(await store.trim(0), ['folder/c', 'folder/a']);
      assert.deepEqual(await store.trim(0), []);
    });

    test('trims whoever holds more than a fair share; who holds less loses nothing', async () => {
      const store = await make(now);
      for (const each of ['small/1', 'large/1', 'large/2', 'larger/1', 'larger/2', 'larger/3', 'large/3', 'larger/4']) {
        await store.put(each, Buffer.alloc(100));
        time += 60_000;
      }
      const folder = (each: string): string => each.split('/')[0]!;
      assert.deepEqual(await store.trim(700, folder), ['larger/1']);
      assert.deepEqual(await store.trim(520, folder), ['large/1', 'larger/2']);
      assert.deepEqual(await store.trim(300, folder), ['large/2', 'larger/3']);
      assert.equal((await store.get('small/1')).length, 100);
    });

    test('an empty store expires nothing', async () => {
      assert.equal(await (await make(now)).expire(0), 0);
      assert.deepEqual(await (await make(now)).trim(0), []);
    });
  });
}
