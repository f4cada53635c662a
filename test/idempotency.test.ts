/** What a used Idempotency-Key is good for: a repeat is the same frame, and anything else is never answered as it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { folderBlobs } from '../connectors/blobs/folder.ts';
import { memoryCache } from '../connectors/cache/memory.ts';
import { redisCache } from '../connectors/cache/redis.ts';
import { SaccadeError } from '../connectors/errors.ts';
import type { Cache } from '../connectors/ports.ts';
import { type UsedKeys, usedKeys } from '../processors/edge/used-keys.ts';
import { accept } from '../processors/ingest/accept.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { pictureDigests } from '../schemas/picture-digest.ts';
import { type EdgeUnderTest, picture, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { needsRedis, startRedis, type TestRedis } from './support/redis.ts';

const [coffee, cat] = [picture('coffee'), picture('chelsea')];

interface Body {
  readonly id: string;
  readonly predictions: readonly { readonly label: string }[];
}

describe('an Idempotency-Key', () => {
  let edge: EdgeUnderTest;
  let now = 0;
  before(async () => {
    edge = await startEdgeUnderTest({ keys: [memoryCache({ maxBytes: 1e6, clock: { now: () => now } })] });
  });
  after(() => edge.close());

  const post = (key: string, image: Buffer, query = '') => fetch(`${edge.url}/v1/infer${query}`, raw(image, { 'idempotency-key': key }));
  const answered = async (response: Response): Promise<Body> => {
    assert.equal(response.status, 200);
    return (await response.json()) as Body;
  };
  const reused = async (response: Response, why: RegExp): Promise<void> => assert.match((await problemOf(response, 422, 'idempotency_key_reused')).detail!, why);

  test('with another picture or model is refused, whether or not anybody waits; with its own it goes on', async () => {
    const first = await answered(await post('order', coffee));
    assert.equal(first.predictions[0]!.label, 'espresso');
    await reused(await post('order', cat), /another picture/);
    await reused(await post('order', cat, '?wait=0'), /another picture/);
    await reused(await post('order', coffee, '?model=nanodet'), /the model efficientnet-lite0/);
    assert.equal((await answered(await post('order', coffee))).id, first.id);
    assert.equal((await answered(await post('order', coffee, '?model=efficientnet-lite0'))).id, first.id, 'named or not, it is the same model');
    assert.equal((await post('order', coffee, '?wait=0')).status, 202);
  });

  test('used for two pictures at once belongs to one of them', async () => {
    const statuses = (await Promise.all([post('race', coffee), post('race', cat), post('race', coffee), post('race', cat)])).map(({ status }) => status);
    assert.deepEqual(statuses.sort(), [200, 200, 422, 422]);
  });

  test('of a request that was refused is free', async () => {
    await problemOf(await post('again', Buffer.from('no picture')), 415, 'unsupported_media_type');
    await problemOf(await post('again', cat, '?model=resnet'), 422, 'unknown_model');
    await answered(await post('again', coffee));
  });

  test('of a batch is one for each picture', async () => {
    const batch = async (...images: readonly Buffer[]) => {
      const body = new FormData();
      for (const image of images) body.append('images', new Blob([new Uint8Array(image)], { type: 'image/jpeg' }), 'p.jpg');
      return (await (await fetch(`${edge.url}/v1/batch_infer`, { method: 'POST', body, headers: { 'idempotency-key': 'album' } })).json()) as { items: { answer?: Body; error?: { code: string } }[] };
    };
    const ids = (await batch(coffee, cat)).items.map(({ answer }) => answer!.id);
    const second = await batch(coffee, coffee);
    assert.deepEqual(second.items.map(({ answer, error }) => answer?.id ?? error?.code), [ids[0], 'idempotency_key_reused']);
  });

  test('is heeded by every door', async () => {
    const graphql = async (image: Buffer) => {
      const query = 'mutation ($image: String!) { infer(image: $image, idempotencyKey: "door") { id } }';
      const response = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables: { image: image.toString('base64') } }) });
      return (await response.json()) as { data: { infer: Body } | null; errors?: { extensions: { code: string } }[] };
    };
    const v2 = (image: Buffer) =>
      fetch(`${edge.url}/v2/models/efficientnet-lite0/infer`, { method: 'POST', headers: { 'idempotency-key': 'tensor' }, body: JSON.stringify({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [1], data: [image.toString('base64')] }] }) });
    const { id } = await answered(await post('door', coffee));
    assert.equal((await graphql(coffee)).data!.infer.id, id);
    assert.equal((await graphql(cat)).errors![0]!.extensions.code, 'idempotency_key_reused');
    assert.equal((await v2(coffee)).status, 200);
    const refused = await v2(cat);
    assert.equal(refused.status, 422);
    assert.match(((await refused.json()) as { error: string }).error, /element 0: .*another picture/);
  });

  test('that is forgotten makes another picture another frame, with its own answer', async () => {
    const first = await answered(await post('old', coffee));
    now += 25 * 3_600_000;
    const other = await answered(await post('old', cat));
    assert.match(other.predictions[0]!.label, /cat/i);
    assert.notEqual(other.id, first.id);
    await reused(await post('old', coffee), /another picture/);
    now += 25 * 3_600_000;
    assert.equal((await answered(await post('old', coffee))).id, first.id, 'the same picture is the same frame for ever');
  });
});

describe('keys that several edges share', () => {
  const identify = async (keys: UsedKeys, image: Buffer, { tenant = 'a', key = 'k' } = {}): Promise<string> => {
    const [one] = await keys.identify(tenant, 'http', [{ image, model: 'm', key }]);
    if (one instanceof SaccadeError) return one.code;
    one!.done(true);
    return one!.id;
  };

  test('are a tenant\'s own, and the same frame at every edge', async () => {
    const shared = memoryCache({ maxBytes: 1e6, clock: systemClock });
    const [one, other] = [usedKeys([shared], 3_600_000), usedKeys([shared], 3_600_000)];
    const id = await identify(one, coffee);
    assert.equal(await identify(other, coffee), id);
    assert.equal(await identify(other, cat), 'idempotency_key_reused');
    assert.match(await identify(other, cat, { tenant: 'b' }), /-/);
    assert.equal(await identify(usedKeys([], 3_600_000), coffee), id, 'where nothing is remembered, too');
  });

  describe('in Redis', { skip: needsRedis }, () => {
    let redis: TestRedis;
    before(async () => void (redis = await startRedis()));
    after(() => redis.stop());

    test('are known to all edges, and to each its own while Redis is away', async () => {
      const silent = { info() {}, warn() {} };
      const open = async (): Promise<{ readonly keys: UsedKeys; readonly cache: Cache }> => {
        const cache = await redisCache({ url: redis.url, password: redis.password, clock: systemClock, log: silent });
        return { keys: usedKeys([memoryCache({ maxBytes: 1e6, clock: systemClock }), cache], 3_600_000), cache };
      };
      const [one, other] = [await open(), await open()];
      const id = await identify(one.keys, coffee);
      await eventually(() => redis.cli('dbsize').trim() === '1', 'the key in Redis');
      assert.doesNotMatch(redis.cli('keys', '*'), /:k\b/, 'a key may be a secret');
      assert.equal(await identify(other.keys, cat), 'idempotency_key_reused');
      assert.equal(await identify(other.keys, coffee), id);
      await redis.kill();
      assert.equal(await identify(one.keys, cat), 'idempotency_key_reused');
      const unknown = await identify(other.keys, cat, { key: 'new' });
      assert.equal(await identify(other.keys, coffee, { key: 'new' }), 'idempotency_key_reused');
      assert.notEqual(await identify(one.keys, coffee, { key: 'new' }), unknown, 'no wrong answer');
      await Promise.all([one.cache.close(), other.cache.close()]);
    });
  });
});

test('the digests of pictures are the same wherever they are hashed', async () => {
  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const many = Array.from({ length: 8 }, (_, i) => Buffer.alloc(100_000, i));
  for (const pictures of [[coffee, cat], [coffee, Buffer.alloc(600_000)], many]) assert.deepEqual((await pictureDigests(pictures)).map((digest) => digest.toString('hex')), pictures.map(sha256));
});

test('a frame that comes again with other bytes changes nothing of a claim check that is on its way', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'saccade-claims-'));
  try {
    const blobs = folderBlobs(folder);
    const offer = (image: Buffer) =>
      accept({ id: '8d7a6d6e-0000-8000-8000-000000000000', tenant: 'a', source: 's', sequence: null, capturedAt: 0, acceptedAt: 0, image, models: null, deadline: null, reply: null }, { maxImageBytes: 1e6, claimCheckBytes: 1000, models: ['m'], blobs });
    const changed = Buffer.from(coffee);
    changed[changed.length - 3]! ^= 1;
    const claims = [(await offer(coffee)).claim!, (await offer(changed)).claim!, (await offer(coffee)).claim!];
    assert.equal(claims[0], claims[2]);
    assert.ok((await blobs.get(claims[0]!)).equals(coffee));
    assert.ok((await blobs.get(claims[1]!)).equals(changed));
  } finally {
    await rm(folder, { recursive: true });
  }
});
