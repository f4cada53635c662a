import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { breaker } from '../connectors/cache/breaker.ts';
import { redisCache } from '../connectors/cache/redis.ts';
import { SaccadeError } from '../connectors/errors.ts';
import type { Cache } from '../connectors/ports.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { cacheContract } from './contracts/cache.ts';
import { eventually } from './support/pipeline.ts';
import { makeCertificate, needsRedis, needsRedisAndOpenssl, startRedis, type TestRedis } from './support/redis.ts';

const unavailable = (error: unknown): boolean => error instanceof SaccadeError && error.code === 'cache_unavailable';

describe('Redis', { skip: needsRedis }, () => {
  let redis: TestRedis;
  before(async () => void (redis = await startRedis()));
  after(() => redis.stop());

  /** A cache, and what it has logged. */
  async function open(options: { url?: string; password?: string } = {}): Promise<{ cache: Cache; said: string[] }> {
    const said: string[] = [];
    const note = (message: string): void => void said.push(message);
    const cache = await redisCache({ url: redis.url, password: redis.password, clock: systemClock, log: { info: note, warn: note }, ...options });
    return { cache, said };
  }

  cacheContract('the cache in Redis', async () => {
    redis.cli('flushall');
    return { cache: (await open()).cache, pass: sleep };
  });

  test('killed: look-ups and writes fail, said once; when it is back they work again, said once', async () => {
    const { cache, said } = await open();
    await cache.set('a', Buffer.from('1'), 60_000);
    await redis.kill();
    for (let i = 0; i < 20; i++) {
      await assert.rejects(cache.get(['a']), unavailable);
      await assert.rejects(cache.set('a', Buffer.from('1'), 60_000), unavailable);
    }
    assert.equal(said.length, 1, said.join('\n'));
    await redis.restart();
    await eventually(() => cache.get(['a']).then(([value]) => value === null, () => false), 'look-ups to work again');
    assert.equal(said.length, 2, said.join('\n'));
    await cache.close();
  });

  test('stopped in its tracks: only the first few calls wait for it', async () => {
    const { cache, said } = await open();
    await cache.set('a', Buffer.from('1'), 60_000);
    redis.child.kill('SIGSTOP');
    let waited = 0;
    try {
      for (let i = 0; i < 500; i++) {
        const from = performance.now();
        await assert.rejects(cache.get(['a']), unavailable);
        // Those that waited came back by the time limit; those turned away did not even reach the event loop's timers.
        if (performance.now() - from > 50) waited++;
      }
      assert.ok(waited < 20, `${waited} of 500 waited`);
      assert.equal(said.length, 1, said.join('\n'));
    } finally {
      redis.child.kill('SIGCONT');
    }
    await eventually(() => cache.get(['a']).then(([value]) => String(value) === '1', () => false), 'look-ups to work again');
    await cache.close();
  });

  test('full: writes fail, said once, and look-ups go on', async () => {
    const { cache, said } = await open();
    await cache.set('a', Buffer.from('1'), 60_000);
    redis.cli('config', 'set', 'maxmemory', '1');
    try {
      for (let i = 0; i < 10; i++) await assert.rejects(cache.set('b', Buffer.alloc(1_000), 60_000), /OOM/);
      assert.deepEqual(await cache.get(['a']), [Buffer.from('1')]);
      assert.equal(said.length, 1, said.join('\n'));
    } finally {
      redis.cli('config', 'set', 'maxmemory', '0');
    }
    await cache.set('b', Buffer.alloc(1_000), 60_000);
    assert.equal(said.length, 2);
    await cache.close();
  });

  test('what is no string under a key is a miss', async () => {
    const { cache } = await open();
    redis.cli('del', 'list');
    redis.cli('lpush', 'list', 'x');
    assert.deepEqual(await cache.get(['list']), [null]);
    await cache.close();
  });

  test('away, or with another password: it opens all the same, and says why', async () => {
    for (const [options, why] of [[{ url: 'redis://localhost:1' }, /ECONNREFUSED/], [{ password: 'wrong' }, /WRONGPASS/]] as const) {
      const { cache, said } = await open(options);
      await assert.rejects(cache.get(['a']), unavailable);
      assert.match(said.join('\n'), why);
      await cache.close();
    }
  });

  test('many writes at once: those beyond the limit are refused, not queued', async () => {
    const { cache } = await open();
    const results = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => cache.set(`${i}`, Buffer.alloc(100_000), 60_000)));
    const refused = results.filter((result) => result.status === 'rejected' && /Too much/.test(String(result.reason)));
    // 41 of 100,000 bytes fit into 4 MiB.
    assert.equal(refused.length, 59);
    await cache.close();
  });
});

test('Redis by TLS, with a certificate that Node is told to trust; not with one it is not', { skip: needsRedisAndOpenssl }, async () => {
  const certificate = makeCertificate();
  const redis = await startRedis({ tls: certificate });
  const probe = fileURLToPath(new URL('./support/redis-probe.ts', import.meta.url));
  const ask = async (env: NodeJS.ProcessEnv): Promise<{ kept: string; said: string[] }> => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', probe, redis.url, redis.password], { env: { ...process.env, ...env } });
    return JSON.parse(stdout) as { kept: string; said: string[] };
  };
  try {
    assert.deepEqual(await ask({ NODE_EXTRA_CA_CERTS: certificate.cert }), { kept: 'there', said: [] });
    const stranger = await ask({ NODE_EXTRA_CA_CERTS: '' });
    assert.match(stranger.said.join('\n'), /self-signed/);
    assert.match(stranger.kept, /self-signed/);
  } finally {
    await redis.stop();
    rmSync(certificate.folder, { recursive: true, force: true });
  }
});

describe('the breaker', () => {
  let time = 0;
  let broken = true;
  let calls = 0;
  const changes: (string | null)[] = [];
  const guard = breaker({ clock: { now: () => time }, changed: (reason) => void changes.push(reason && reason.detail) });
  const call = (): Promise<number> =>
    guard(async () => {
      calls++;
      if (broken) throw new Error(`fault ${calls}`);
      return calls;
    });

  test('opens at the third failure in a row, and then calls nobody until a pause is over', async () => {
    for (let i = 0; i < 10; i++) await assert.rejects(call(), unavailable);
    assert.equal(calls, 3);
    assert.deepEqual(changes, ['fault 3']);
  });

  test('a single call tries after each pause, which gets longer', async () => {
    time += 1_000;
    const tries = await Promise.allSettled([call(), call(), call()]);
    assert.ok(tries.every(({ status }) => status === 'rejected'));
    assert.equal(calls, 4);
    time += 1_999;
    await assert.rejects(call(), unavailable);
    assert.equal(calls, 4);
    assert.equal(changes.length, 1);
  });

  test('closes when one succeeds; the count begins again', async () => {
    time += 1;
    broken = false;
    assert.equal(await call(), 5);
    assert.deepEqual(changes, ['fault 3', null]);
    broken = true;
    await assert.rejects(call());
    await assert.rejects(call());
    broken = false;
    assert.equal(await call(), 8);
    assert.equal(changes.length, 2);
  });
});
