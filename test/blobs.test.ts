import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { folderBlobs } from '../connectors/blobs/folder.ts';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { SaccadeError } from '../connectors/errors.ts';
import type { Clock } from '../connectors/ports.ts';
import { blobAgeMs, expireBlobs } from '../processors/blob-expiry.ts';
import { topicSpecs } from '../schemas/topics.ts';
import { blobsContract } from './contracts/blobs.ts';

const unavailable = (error: unknown): boolean => error instanceof SaccadeError && error.code === 'blobs_unavailable' && error.retryable;

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'saccade-blobs-'));
});
after(() => rm(root, { recursive: true }));

const emptyFolder = (): Promise<string> => mkdtemp(join(root, 'store-'));

blobsContract('blobs in a folder', async (now) => folderBlobs(join(await emptyFolder(), 'not', 'yet', 'there'), { now }));
blobsContract('blobs in memory', async (now) => memoryBlobs({ now }));

describe('the folder', () => {
  test('is shared: what one process put, another gets and expires', async () => {
    const folder = await emptyFolder();
    let time = Date.now();
    const [one, other] = [folderBlobs(folder, { now: () => time }), folderBlobs(folder, { now: () => time })];
    const claim = await one.put('a/b', Buffer.from('bytes'));
    assert.equal(String(await other.get(claim)), 'bytes');
    time += 5_000;
    const counts = await Promise.all([one.expire(1_000), other.expire(1_000)]);
    assert.equal(counts[0]! + counts[1]!, 1);
  });

  test('never shows half a blob: a name appears when its bytes are complete', async () => {
    const folder = await emptyFolder();
    const store = folderBlobs(folder);
    const bytes = randomBytes(8_000_000);
    const sizes = new Set<number>();
    let done = false;
    const writing = store.put('large', bytes).finally(() => (done = true));
    for (let over = false; !over; over = done) {
      await store.get('large').then((seen) => sizes.add(seen.length), () => {});
    }
    await writing;
    sizes.add((await store.get('large')).length);
    assert.deepEqual([...sizes], [bytes.length]);
    assert.deepEqual(await readdir(folder), ['large'], 'nothing unfinished is left behind');
  });

  test('that is away itself misses nothing: not even a mount point that is no folder now costs a record', async () => {
    const folder = await emptyFolder();
    const store = folderBlobs(folder);
    await store.put('a', Buffer.from('bytes'));
    await rename(folder, `${folder}.away`);
    await assert.rejects(store.get('a'), unavailable);
    await writeFile(folder, '');
    await assert.rejects(store.get('a'), unavailable);
    await assert.rejects(store.put('b', Buffer.from('bytes')), unavailable);
    await rm(folder);
    await rename(`${folder}.away`, folder);
    assert.equal(String(await store.get('a')), 'bytes');
  });

  test('mends a blob of the wrong size, and clears away what a killed process left', async () => {
    const folder = await emptyFolder();
    let time = Date.now();
    const store = folderBlobs(folder, { now: () => time });
    await writeFile(join(folder, 'a'), 'ab');
    await writeFile(join(folder, '.unfinished-1'), 'abc');
    await store.put('a', Buffer.from('abcdef'));
    assert.equal(String(await store.get('a')), 'abcdef');
    time += 60_000;
    assert.equal(await store.expire(30_000), 1, 'what is unfinished is not counted as a blob');
    assert.deepEqual(await readdir(folder), []);
  });

  test('what is left half written goes after a day, though blobs are kept for ever', async () => {
    const folder = await emptyFolder();
    let time = Date.now();
    const store = folderBlobs(folder, { now: () => time });
    await store.put('a', Buffer.from('a'));
    await writeFile(join(folder, '.unfinished-1'), 'abc');
    time += 23 * 3_600_000;
    await store.expire(Infinity);
    assert.deepEqual((await readdir(folder)).sort(), ['.unfinished-1', 'a']);
    time += 2 * 3_600_000;
    await store.expire(Infinity);
    assert.deepEqual(await readdir(folder), ['a']);
  });

  test('two that trim it at once count each blob once', async () => {
    const folder = await emptyFolder();
    const store = folderBlobs(folder);
    for (let n = 0; n < 50; n++) await store.put(`${n}`, Buffer.from('x'));
    const names = await Promise.all([store.trim(0), folderBlobs(folder).trim(0)]);
    assert.equal(names.flat().length, 50);
    assert.equal(new Set(names.flat()).size, 50);
  });

  test('a disk that cannot be written or read is unavailable', async () => {
    const folder = await emptyFolder();
    await writeFile(join(folder, 'file'), 'x');
    await assert.rejects(folderBlobs(join(folder, 'file', 'store')).put('a', Buffer.from('x')), unavailable);
    await symlink('loop', join(folder, 'loop'));
    await assert.rejects(folderBlobs(folder).get('loop'), unavailable);
  });
});

test('memory that is full is unavailable, and has room again after expiry', async () => {
  let time = 0;
  const store = memoryBlobs({ maxBytes: 100, now: () => time });
  await store.put('a', Buffer.alloc(60));
  await assert.rejects(store.put('b', Buffer.alloc(60)), unavailable);
  await store.put('a', Buffer.alloc(90));
  time = 10;
  assert.equal(await store.expire(5), 1);
  await store.put('b', Buffer.alloc(100));
});

describe('expiry', () => {
  const hourMs = 3_600_000;
  /** Each sleep moves the time on; the signal aborts after `hours` of them. */
  function hourly(hours: number) {
    const stop = new AbortController();
    let time = 0;
    const clock: Clock = {
      now: () => time,
      async sleep(ms) {
        time += ms;
        if (time >= hours * hourMs) stop.abort();
      },
    };
    const lines: string[] = [];
    const log = { info: (_: object, message: string) => void lines.push(message), warn: (_: object, message: string) => void lines.push(message) };
    return { clock, signal: stop.signal, lines, log };
  }

  test('deletes what is older than its age, hour by hour, until it is stopped', async () => {
    const { clock, signal, lines, log } = hourly(5);
    const blobs = memoryBlobs({ now: clock.now });
    await blobs.put('first', Buffer.from('1'));
    const left: string[][] = [];
    const watched = {
      async expire(ageMs: number) {
        if (clock.now() === 2 * hourMs) await blobs.put('second', Buffer.from('2'));
        const count = await blobs.expire(ageMs);
        const names = await Promise.all(['first', 'second'].map((name) => blobs.get(name).then(() => name, () => '')));
        left.push(names.filter((name) => name !== ''));
        return count;
      },
    };
    await expireBlobs({ clock, blobs: watched, ageMs: 2.5 * hourMs, signal, log });
    assert.deepEqual(left, [['first'], ['first'], ['first', 'second'], ['second'], ['second']]);
    assert.deepEqual(lines, ['blobs expired']);
  });

  test('a folder that cannot be read for a while is tried again', async () => {
    const { clock, signal, lines, log } = hourly(3);
    let calls = 0;
    const broken = {
      async expire() {
        calls += 1;
        if (calls === 1) throw new SaccadeError('blobs_unavailable', 'EIO');
        return 1;
      },
    };
    await expireBlobs({ clock, blobs: broken, ageMs: 1, signal, log });
    assert.deepEqual(lines, ['blobs could not be expired', 'blobs expired', 'blobs expired']);
  });

  test('no blob is deleted while a frame, or a dead letter of one, may name it', () => {
    for (const rawHours of [undefined, 24, 1]) {
      const specs = topicSpecs(['a'], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1, rawHours });
      const kept = (topic: string): number => {
        const { retentionMs, segmentMs = 0 } = specs.find(({ name }) => name === topic)!;
        return retentionMs + segmentMs;
      };
      // Replayed in its last hour, a dead letter is a frame once more.
      assert.equal(blobAgeMs(specs), kept('frames.dlq') + kept('frames'));
      assert.equal(blobAgeMs(specs), rawHours === undefined ? 192 * hourMs : 2 * rawHours * hourMs);
    }
  });
});
