/** A second factor for admins: enrolled, asked for, each code once, and not to be tried out. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { generateSync } from 'otplib';
import { openMetadata } from '../connectors/postgres/metadata.ts';
import { memoryRates } from '../connectors/rates/memory.ts';
import { parseKey } from '../processors/access/key.ts';
import { secondFactor } from '../processors/access/second-factor.ts';
import { anyDatabase, bearer, type ClosedEdge, sealingKey, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { problemOf } from './support/edge.ts';

let database: TestDatabase;
before(async () => {
  database = await anyDatabase();
});
after(() => database.stop());

describe('over HTTP', () => {
  let edge: ClosedEdge;
  before(async () => {
    edge = await startClosedEdge(database, { stages: [] });
  });
  after(() => edge.close());

  const post = (key: string, path: string, body: unknown, code?: string) =>
    fetch(`${edge.url}${path}`, { method: 'POST', headers: { ...bearer(key), 'content-type': 'application/json', ...(code ? { 'saccade-otp': code } : {}) }, body: JSON.stringify(body) });
  const codeAt = (secret: string, offsetSteps: number) => generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + offsetSteps * 30 });

  test('once confirmed, what the admin changes needs a code, and a code serves once', async () => {
    const key = await edge.key('one', 'admin');
    assert.equal((await post(key, '/v1/admin/keys', { role: 'viewer' })).status, 201, 'none is enrolled yet');
    const enrolment = await post(key, '/v1/admin/second-factor', {});
    const { secret, uri } = (await enrolment.json()) as { secret: string; uri: string };
    assert.deepEqual([enrolment.status, enrolment.headers.get('cache-control')], [201, 'no-store']);
    assert.match(uri, /^otpauth:\/\/totp\/Saccade.*secret=/);
    assert.equal((await post(key, '/v1/admin/keys', { role: 'viewer' })).status, 201, 'it is not confirmed yet');
    await problemOf(await post(key, '/v1/admin/second-factor/confirm', { code: '000000' }), 403, 'second_factor_needed');
    assert.equal((await post(key, '/v1/admin/second-factor/confirm', { code: codeAt(secret, -1) })).status, 204);

    await problemOf(await post(key, '/v1/admin/keys', { role: 'viewer' }), 403, 'second_factor_needed');
    await problemOf(await post(key, '/v1/admin/keys', { role: 'viewer' }, codeAt(secret, -1)), 403, 'second_factor_needed');
    const code = codeAt(secret, 0);
    const both = await Promise.all([post(key, '/v1/admin/keys', { role: 'viewer' }, code), post(key, '/v1/admin/keys', { role: 'viewer' }, code)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 403], 'of two with one code one is done');
    await problemOf(await post(key, '/v1/admin/second-factor', {}), 409, 'already_exists');
    assert.equal((await fetch(`${edge.url}/v1/admin/keys`, { headers: bearer(key) })).status, 200, 'reading needs none');
    const another = await edge.key('one', 'admin');
    assert.equal((await post(another, '/v1/admin/keys', { role: 'viewer' })).status, 201, "another's is another's");
  });

  test('how faces are covered is changed with a code too', async () => {
    const key = await edge.key('home', 'admin');
    const { secret } = (await (await post(key, '/v1/admin/second-factor', {})).json()) as { secret: string };
    assert.equal((await post(key, '/v1/admin/second-factor/confirm', { code: codeAt(secret, -1) })).status, 204);
    const put = (headers: Record<string, string>) => fetch(`${edge.url}/v1/admin/tenants/home/faces`, { method: 'PUT', headers: { ...bearer(key), 'content-type': 'application/json', ...headers }, body: '{"faces":"blur"}' });
    await problemOf(await put({}), 403, 'second_factor_needed');
    assert.equal((await put({ 'saccade-otp': codeAt(secret, 0) })).status, 200);
  });

  test('codes cannot be tried out', async () => {
    const key = await edge.key('one', 'admin');
    const { secret } = (await (await post(key, '/v1/admin/second-factor', {})).json()) as { secret: string };
    await edge.metadata.access.takeStep(`key:${parseKey(key)!.id}`, 1);
    const statuses = [];
    for (let i = 0; i < 6; i++) statuses.push((await post(key, '/v1/admin/keys', { role: 'viewer' }, '000000')).status);
    assert.deepEqual(statuses, [403, 403, 403, 403, 403, 429]);
    assert.equal((await post(key, '/v1/admin/keys', { role: 'viewer' }, codeAt(secret, 0))).status, 429, 'also the right one');
  });
});

test('a code that is right is no try: nobody is stopped for changing much, and those that are wrong still count', async () => {
  const metadata = await openMetadata(database.url, [sealingKey]);
  let now = 1_800_000_015_000;
  const factor = secondFactor({ access: metadata.access, counter: memoryRates(), clock: { now: () => now, sleep: async () => {} }, rule: 'enrolled' });
  const { secret } = await factor.enrol('key:busy');
  const right = () => generateSync({ secret, epoch: Math.floor((now += 30_000) / 1000) });
  await factor.confirm('key:busy', right());
  for (let i = 0; i < 12; i++) await factor.demand('key:busy', right());
  for (let i = 0; i < 4; i++) await assert.rejects(factor.demand('key:busy', 'no code'), { code: 'second_factor_needed' });
  await factor.demand('key:busy', right());
  await assert.rejects(factor.demand('key:busy', 'no code'), { code: 'second_factor_needed' });
  await assert.rejects(factor.demand('key:busy', right()), { code: 'rate_limited' });
  await metadata.close();
});

test('a step before and after is taken, two are not; SACCADE_SECOND_FACTOR=required and off', async () => {
  const edge = await startClosedEdge(database, { stages: [] });
  const { access } = edge.metadata;
  let now = 1_800_000_015_000;
  const clock = { now: () => now, sleep: async () => {} };
  const counter = { ...memoryRates(), take: async () => ({ allowed: true, granted: 1, remaining: 1, resetMs: 1 }) };
  const rule = (which: 'off' | 'enrolled' | 'required') => secondFactor({ access, counter, clock, rule: which });
  const { secret } = await rule('required').enrol('key:timed');
  const codeFor = (at: number) => generateSync({ secret, epoch: Math.floor(at / 1000) });
  await assert.rejects(rule('required').demand('key:timed', codeFor(now)), { code: 'second_factor_needed', message: /Enrol/ });
  await rule('required').confirm('key:timed', codeFor(now - 30_000));
  await assert.rejects(rule('enrolled').demand('key:timed', codeFor(now + 60_000)), { code: 'second_factor_needed' });
  await rule('enrolled').demand('key:timed', codeFor(now + 30_000));
  await assert.rejects(rule('enrolled').demand('key:timed', codeFor(now)), { code: 'second_factor_needed' }, 'older than one that was taken');
  now += 90_000;
  await rule('enrolled').demand('key:timed', codeFor(now));
  await assert.rejects(rule('enrolled').demand('key:timed', undefined), { code: 'second_factor_needed' });
  await rule('off').demand('key:timed', undefined);
  await assert.rejects(rule('required').demand('key:nobody', undefined), { code: 'second_factor_needed' });
  await rule('enrolled').demand('key:nobody', undefined);
  await edge.close();
});
