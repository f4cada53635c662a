import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readConfig } from '../processors/config.ts';
import { openCache } from '../processors/connect.ts';

describe('the cache that a process gets', () => {
  const quiet = { info() {}, warn() {} };
  const open = async (env: Record<string, string>) => {
    const { cache, said } = await openCache(readConfig([], env, '/nonexistent').settings, quiet);
    await cache?.close();
    return [cache?.kind ?? null, said];
  };
  const kind = async (env: Record<string, string>) => (await open(env))[0];

  test('is its own, where preprocess and infer both run in it', async () => {
    assert.deepEqual(await open({ SACCADE_CACHE_MB: '3' }), ['memory', 'in this process, 3 MB']);
    assert.deepEqual(await open({ SACCADE_STAGES: 'preprocess,sink' }), [null, 'none: preprocess and infer run apart and there is no REDIS_URL']);
  });

  test('is none when it is off, or when neither runs', async () => {
    for (const env of [{ SACCADE_CACHE: 'off' }, { SACCADE_STAGES: 'ingest,sink,edge' }]) {
      assert.equal(await kind(env), null);
      assert.equal(await kind({ ...env, REDIS_URL: 'redis://127.0.0.1:1' }), null);
    }
  });

  test('is Redis, although it is away: that is said, and holds up nothing', async () => {
    const away = { REDIS_URL: 'redis://127.0.0.1:1', SACCADE_STAGES: 'infer' };
    const [which, said] = await open(away);
    assert.equal(which, 'redis');
    assert.match(said!, /redis:\/\/127\.0\.0\.1:1 .*ECONNREFUSED.*used as soon as it answers/);
  });
});
