/** Limits: what is left is told, what is too much is refused, and a Redis that is away shuts nobody out. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { memoryRates } from '../connectors/rates/memory.ts';
import { redisRates } from '../connectors/rates/redis.ts';
import type { RateCounter } from '../connectors/ports.ts';
import { rates } from '../processors/access/rates.ts';
import type { Principal } from '../processors/edge/principal.ts';
import { plans } from '../schemas/plans.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { problemOf } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { makeCertificate, needsRedis, needsRedisAndOpenssl, startRedis, type TestRedis } from './support/redis.ts';

const silent = { info() {}, warn() {} };
const window = { requests: 3, seconds: 60 };
const takes = async (counter: RateCounter, key: string, times: number): Promise<boolean[]> => {
  const answers = [];
  for (let i = 0; i < times; i++) answers.push((await counter.take(key, window)).allowed);
  return answers;
};

test('in the process: three of four, by key, and until the window ends', async () => {
  const counter = memoryRates();
  assert.deepEqual(await takes(counter, 'a', 4), [true, true, true, false]);
  assert.deepEqual(await takes(counter, 'b', 1), [true]);
  await counter.giveBack('b', window);
  assert.deepEqual(await takes(counter, 'b', 4), [true, true, true, false], 'what was given back was not taken');
  const short = { requests: 1, seconds: 1 };
  assert.equal((await counter.take('c', short)).allowed, true);
  const refused = await counter.take('c', short);
  assert.ok(!refused.allowed && refused.remaining === 0 && refused.resetMs > 0 && refused.resetMs <= 1000);
  await eventually(async () => (await counter.take('c', short)).allowed, 'the next window');
});

describe('in Redis', { skip: needsRedis }, () => {
  let redis: TestRedis;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());

  test('all edges count together, and each alone while it is away', async () => {
    const options = { url: redis.url, password: redis.password, log: silent };
    const [one, other] = [redisRates(options), redisRates(options)];
    await eventually(async () => {
      await one.take('probe', window);
      await other.take('probe', window);
      return redis.cli('keys', 'saccade:rate:*probe').trim() !== '';
    }, 'both to be connected');
    await eventually(async () => (await one.take('ready', window)).allowed && redis.cli('get', 'saccade:rate:3/60:ready').trim() !== '', 'one');
    const shared = [...(await takes(one, 'k', 2)), ...(await takes(other, 'k', 2))];
    assert.deepEqual(shared, [true, true, true, false]);
    assert.deepEqual(await takes(one, 'back', 3), [true, true, true]);
    await one.giveBack('back', window);
    assert.deepEqual(await takes(other, 'back', 2), [true, false]);
    await redis.kill();
    assert.deepEqual(await takes(one, 'k2', 4), [true, true, true, false], 'it still counts');
    assert.deepEqual(await takes(other, 'k2', 1), [true]);
    await redis.restart();
    await eventually(async () => {
      await one.take('again', window);
      return redis.cli('keys', 'saccade:rate:*again').trim() !== '';
    }, 'Redis to be used again', 20_000);
    await Promise.all([one.close(), other.close()]);
  });
});

test('Redis over TLS, with a password', { skip: needsRedisAndOpenssl }, async () => {
  const { cert, key } = makeCertificate();
  const redis = await startRedis({ tls: { cert, key } });
  // NODE_EXTRA_CA_CERTS is read at the start of a process: it is one of its own that trusts it.
  const { execFileSync } = await import('node:child_process');
  const script = `import { redisRates } from './connectors/rates/redis.ts';
    const counter = redisRates({ url: ${JSON.stringify(redis.url)}, password: ${JSON.stringify(redis.password)}, log: { info() {}, warn() {} } });
    for (let i = 0; i < 50; i++) { await counter.take('tls', { requests: 1000, seconds: 60 }); await new Promise((r) => setTimeout(r, 50)); }
    await counter.close();`;
  execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { env: { ...process.env, NODE_EXTRA_CA_CERTS: cert }, stdio: 'inherit' });
  assert.ok(Number(redis.cli('get', 'saccade:rate:1000/60:tls')) > 10);
  await redis.stop();
});

describe('a quota of a day is the tenant\'s', () => {
  // Days of three requests: the plans' own hold millions.
  const smallDays = (): RateCounter => {
    const counter = memoryRates();
    return { ...counter, take: (key, rate, many) => counter.take(key, rate.seconds === 86_400 ? { ...rate, requests: 3 } : rate, many) };
  };
  const operator = (id: string, tenant = 'one'): Principal => ({ id: `key:${id}`, tenant, role: 'operator', kind: 'key' });

  test('another key is no fresh one', async () => {
    const { count } = rates({ counter: smallDays(), defaultPlan: 'standard' });
    for (const id of ['a', 'b', 'c']) await count(operator(id), 'predict');
    for (const id of ['a', 'fresh']) await assert.rejects(count(operator(id), 'predict'), { code: 'rate_limited' });
    await count(operator('a', 'two'), 'predict');
  });

  test('nor for the frames of its videos', async () => {
    const { count, tap } = rates({ counter: smallDays(), defaultPlan: 'standard' });
    for (const id of ['a', 'b', 'c']) await count(operator(id), 'predict');
    const fresh = tap(operator('fresh'), 'predict');
    await eventually(() => fresh.take(0) === 'no', 'the refusal');
  });

  test('what a rate refuses is not taken from it', async () => {
    const minute = plans.standard!.predict![0]!.requests;
    const days: string[] = [];
    const counter = memoryRates();
    const { count } = rates({ counter: { ...counter, take: (key, rate, many) => (rate.seconds === 86_400 && days.push(key), counter.take(key, rate, many)) }, defaultPlan: 'standard' });
    await counter.take('predict:key:hasty', { requests: minute, seconds: 60 }, minute - 1);
    await count(operator('hasty'), 'predict');
    await assert.rejects(count(operator('hasty'), 'predict'), { code: 'rate_limited' });
    assert.deepEqual(days, ['predict:tenant:one']);
  });

  test('the plans name their shortest windows first', () => {
    for (const plan of Object.values(plans)) for (const windows of Object.values(plan)) assert.deepEqual(windows, windows.toSorted((a, b) => a.seconds - b.seconds));
  });
});

describe('on the edge', () => {
  let database: TestDatabase;
  let edge: ClosedEdge;
  before(async () => {
    database = await anyDatabase();
    edge = await startClosedEdge(database, { stages: [], requestTimeoutMs: 100 });
  });
  after(async () => {
    await edge.close();
    await database.stop();
  });
  const ask = (key: string, path = '/live/frames/none') => fetch(`${edge.url}${path}`, { headers: bearer(key) });

  test('an answer says what is left, by the draft and by its earlier names', async () => {
    const key = await edge.key('one', 'viewer', { plan: 'demo' });
    const { headers } = await ask(key);
    const [limit] = plans.demo!.read!;
    assert.equal(headers.get('ratelimit-policy'), `"read-60s";q=${limit!.requests};w=60`);
    assert.match(headers.get('ratelimit')!, new RegExp(`^"read-60s";r=${limit!.requests - 1};t=\\d+$`));
    assert.deepEqual([headers.get('ratelimit-limit'), headers.get('ratelimit-remaining')], [`${limit!.requests}`, `${limit!.requests - 1}`]);
  });

  test('too many: 429 with Retry-After; another key is none the worse', async () => {
    const [key, other] = [await edge.key('one', 'admin', { plan: 'demo' }), await edge.key('one', 'admin', { plan: 'demo' })];
    const { requests } = plans.demo!.admin![0]!;
    let last = await ask(key, '/v1/admin/keys');
    for (let i = 1; i < requests; i++) last = await ask(key, '/v1/admin/keys');
    assert.deepEqual([last.status, last.headers.get('ratelimit-remaining')], [200, '0']);
    const refused = await ask(key, '/v1/admin/keys');
    const wait = Number(refused.headers.get('retry-after'));
    assert.ok(wait >= 1 && wait <= 60, `${wait}`);
    assert.match((await problemOf(refused, 429, 'rate_limited')).detail!, /admin is 120 in 60 s/);
    assert.equal((await ask(other, '/v1/admin/keys')).status, 200);
    assert.equal((await ask(key)).status, 404, 'what is read is counted apart');
  });

  test('a plan of the tenant holds where the key names none; unlimited says nothing', async () => {
    await edge.metadata.access.createTenant('planned', 'standard');
    assert.match((await ask(await edge.key('planned', 'viewer'))).headers.get('ratelimit-policy')!, /q=6000/);
    assert.equal((await ask(await edge.key('one', 'viewer'))).headers.get('ratelimit-policy'), null);
    assert.match((await fetch(`${edge.url}/v1/infer`, { method: 'POST', headers: bearer(await edge.key('planned', 'operator')) })).headers.get('ratelimit-policy')!, /"predict-60s";q=6000;w=60, "predict-86400s"/);
  });

  test('an address that shows many wrong keys is refused for a while', async () => {
    const own = await startClosedEdge(database, { stages: [] });
    const good = await edge.key('one', 'viewer');
    const asGood = () => fetch(`${own.url}/live/frames/none`, { headers: bearer(good) }).then(({ status }) => status);
    assert.equal(await asGood(), 404);
    // The news that the key was made may come while it is asked for, and is then asked for again.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await asGood(), 404);
    const { ticket } = (await (await fetch(`${own.url}/v1/tickets`, { method: 'POST', headers: bearer(good) })).json()) as { ticket: string };
    const byTicket = (text: string) => fetch(`${own.url}/live/frames/none?ticket=${text}`).then(({ status }) => status);
    const statuses = [];
    for (let i = 0; i < 40; i++) statuses.push((await fetch(`${own.url}/v1/admin/keys`, { headers: bearer(`sac_${'z'.repeat(16)}_${'z'.repeat(43)}`) })).status);
    assert.deepEqual([statuses[0], statuses.at(-1)], [401, 429]);
    assert.equal(await asGood(), 404, 'behind the same address, and known');
    assert.deepEqual([await byTicket(ticket), await byTicket(`${ticket.slice(0, -4)}AAAA`)], [404, 429], 'whoever has a ticket shows that it is right');
    assert.equal(await fetch(`${own.url}/live/frames/none`, { headers: bearer(await edge.key('one', 'viewer')) }).then(({ status }) => status), 429, 'the database is not asked about a key that is not known');
    await own.close();
  });
});
