/** Keys: who comes in, who does not, and how soon one who may no longer is out. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../processors/runtime/clock.ts';
import { followTable } from '../processors/runtime/control-table.ts';
import { policiesTopic } from '../schemas/policies.ts';
import { parseKey } from '../processors/access/key.ts';
import { anyDatabase, bearer, type ClosedEdge, embeddedDatabase, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { picture, problemOf, raw } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { needsPostgres, startTestPostgres } from './support/postgres.ts';

const databases = { PostgreSQL: { start: startTestPostgres, skip: needsPostgres }, 'the embedded database': { start: embeddedDatabase, skip: false } };

for (const [name, { start, skip }] of Object.entries(databases)) describe(`keys in ${name}`, { skip }, () => {
  let database: TestDatabase;
  let edge: ClosedEdge;
  before(async () => {
    database = await start();
    edge = await startClosedEdge(database, { stages: [], requestTimeoutMs: 100 });
  });
  after(async () => {
    await edge.close();
    await database.stop();
  });
  const ask = (headers: Record<string, string> = {}, path = '/v1/admin/keys') => fetch(`${edge.url}${path}`, { headers });
  const admin = async () => bearer(await edge.key('one', 'admin'));

  test('the first start makes one admin key and says it once', async () => {
    const line = edge.said.find((text) => text.includes('admin key'))!;
    const first = /sac_\S+/.exec(line)![0];
    assert.equal((await ask(bearer(first))).status, 200);
    const second = await startClosedEdge(database, { stages: [] });
    assert.ok(!second.said.some((text) => text.includes('sac_')));
    await second.close();
  });

  test('a key goes as bearer or as X-API-Key; without one, or with two, nobody comes in', async () => {
    const key = await edge.key('one', 'admin');
    assert.equal((await ask(bearer(key))).status, 200);
    assert.equal((await ask({ 'x-api-key': key })).status, 200);
    const nothing = await ask();
    assert.equal(nothing.headers.get('www-authenticate'), 'Bearer realm="saccade"');
    await problemOf(nothing, 401, 'unauthenticated');
    await problemOf(await ask({ ...bearer(key), 'x-api-key': key }), 401, 'unauthenticated');
    await problemOf(await ask({ authorization: `Basic ${Buffer.from(`x:${key}`).toString('base64')}` }), 401, 'unauthenticated');
    await problemOf(await ask({}, `/v1/admin/keys?key=${key}&api_key=${key}&access_token=${key}`), 401, 'unauthenticated');
  });

  test('whatever is wrong with a key, the answer is the same', async () => {
    const key = await edge.key('one', 'admin');
    const expired = await edge.key('one', 'admin', { expiresAt: Date.now() - 1 });
    const { id, secret } = parseKey(key)!;
    const wrong = [`sac_${'a'.repeat(16)}_${secret}`, `sac_${id}_${'A'.repeat(43)}`, expired, `sac_${id}_${[...secret].toReversed().join('')}`];
    const bodies = await Promise.all(wrong.map(async (text) => problemOf(await ask(bearer(text)), 401, 'unauthenticated')));
    assert.equal(new Set(bodies.map((body) => JSON.stringify(body))).size, 1);
    assert.equal((await ask(bearer(key))).status, 200);
  });

  test('a key that expires while it is known is out at that moment', async () => {
    const key = await edge.key('one', 'admin', { expiresAt: Date.now() + 1_500 });
    assert.equal((await ask(bearer(key))).status, 200);
    await eventually(async () => (await ask(bearer(key))).status === 401, 'its end');
  });

  test('revoked on one edge, it is out on the other, which knew it', async () => {
    const other = await startClosedEdge(database, { stages: [] });
    const key = await edge.key('one', 'viewer');
    const { id } = parseKey(key)!;
    const at = ({ url }: { url: string }) => fetch(`${url}/live/frames/none`, { headers: bearer(key) });
    assert.deepEqual([(await at(edge)).status, (await at(other)).status], [404, 404]);
    const answer = await fetch(`${edge.url}/v1/admin/keys/${id}`, { method: 'DELETE', headers: await admin() });
    assert.equal(answer.status, 200);
    // Far below the five seconds that a lost message would leave standing.
    const from = performance.now();
    await eventually(async () => (await at(edge)).status === 401 && (await at(other)).status === 401, 'both to know', 4_000);
    assert.ok(performance.now() - from < 4_000);
    await other.close();
  });

  test('a key made over HTTP works, is shown once, and belongs to whom it was made for', async () => {
    const headers = { ...(await admin()), 'content-type': 'application/json' };
    const post = (body: unknown) => fetch(`${edge.url}/v1/admin/keys`, { method: 'POST', headers, body: JSON.stringify(body) });
    const response = await post({ role: 'viewer', label: 'dashboard', expires_in_days: 1 });
    const made = (await response.json()) as { id: string; key: string; tenant: string; created_by: string; expires_at: string };
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.deepEqual([made.tenant, made.created_by.startsWith('key:')], ['one', true]);
    assert.ok(Math.abs(Date.parse(made.expires_at) - Date.now() - 86_400_000) < 60_000);
    assert.equal((await ask(bearer(made.key), '/live/frames/none')).status, 404);
    await problemOf(await ask(bearer(made.key)), 403, 'forbidden');
    const listed = await (await ask(headers)).text();
    const limited = (await (await post({ role: 'operator', models: ['nanodet'], sources: ['gate-*'] })).json()) as { id: string; models: string[]; sources: string[] };
    assert.deepEqual([limited.models, limited.sources], [['nanodet'], ['gate-*']]);
    const { keys } = (await (await ask(headers)).json()) as { keys: { id: string; models: string[] | null; sources: string[] | null }[] };
    assert.deepEqual(keys.filter(({ id }) => id === limited.id || id === made.id).map(({ models, sources }) => [models, sources]), [[['nanodet'], ['gate-*']], [null, null]]);
    assert.ok(listed.includes(made.id) && !listed.includes(parseKey(made.key)!.secret));
    for (const [body, field] of [[{ role: 'root' }, /role/], [{}, /role/], [{ role: 'viewer', plan: 'gold' }, /plan/], [{ role: 'viewer', admin: true }, /admin/], [{ role: 'viewer', expires_in_days: -1 }, /expires_in_days/], [{ role: 'viewer', models: ['*'] }, /models/], [{ role: 'viewer', sources: [] }, /sources/], [{ role: 'viewer', sources: ['gate\0'] }, /sources/], [{ role: 'viewer', label: 'a\0' }, /label/], [{ role: 'admin', sources: ['gate'] }, /not limited/]] as const) {
      assert.match(JSON.stringify(await problemOf(await post(body), 400, 'bad_request')), field);
    }
    await problemOf(await post({ role: 'viewer', tenant: 'two' }), 403, 'forbidden');
    for (const plan of ['unlimited', 'demo']) await problemOf(await post({ role: 'viewer', plan }), 403, 'forbidden');
  });

  test('what no database holds is no name: it is refused, not looked for', async () => {
    const headers = bearer(await edge.key('home', 'admin'));
    const json = { headers: { ...headers, 'content-type': 'application/json' }, body: '{"faces":null}' };
    for (const [path, init] of [['keys?tenant=%00', { headers }], ['keys/%00', { headers, method: 'DELETE' }], ['tenants/%00/faces', { ...json, method: 'PUT' }]] as const) {
      assert.match(JSON.stringify(await problemOf(await fetch(`${edge.url}/v1/admin/${path}`, init), 400, 'bad_request')), /NUL/);
    }
  });

  test('the home tenant administers all', async () => {
    const headers = { ...bearer(await edge.key('home', 'admin')), 'content-type': 'application/json' };
    const post = (path: string, body: unknown) => fetch(`${edge.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    assert.equal((await post('/v1/admin/tenants', { name: 'fresh', plan: 'demo' })).status, 201);
    await problemOf(await post('/v1/admin/tenants', { name: 'fresh' }), 409, 'already_exists');
    await problemOf(await post('/v1/admin/tenants', { name: 'no/slash' }), 400, 'bad_request');
    assert.equal((await post('/v1/admin/keys', { tenant: 'fresh', role: 'viewer', plan: 'unlimited' })).status, 201);
    await problemOf(await post('/v1/admin/keys', { tenant: 'nowhere', role: 'viewer' }), 404, 'not_found');
    const keys = ((await (await ask(headers, '/v1/admin/keys?tenant=*')).json()) as { keys: { tenant: string }[] }).keys;
    assert.ok(keys.some(({ tenant }) => tenant === 'fresh') && keys.some(({ tenant }) => tenant === 'one'));
  });

  test('how the faces of a tenant are covered is said and shown by the home tenant, on every edge of the log', async () => {
    const headers = { ...bearer(await edge.key('home', 'admin')), 'content-type': 'application/json' };
    await edge.key('one', 'viewer');
    const put = (tenant: string, body: unknown, who: Record<string, string> = headers) => fetch(`${edge.url}/v1/admin/tenants/${tenant}/faces`, { method: 'PUT', headers: who, body: JSON.stringify(body) });
    type Row = { name: string; faces: string; faces_set: string | null };
    const row = async (): Promise<unknown> => ((await (await ask(headers, '/v1/admin/tenants')).json()) as { tenants: Row[] }).tenants.filter((tenant) => tenant.name === 'one').map(({ faces, faces_set }) => [faces, faces_set]);
    assert.deepEqual(await row(), [['off', null]]);
    const answer = await put('one', { faces: 'blur' });
    const { created_at: _since, ...answered } = (await answer.json()) as Row & { created_at: string };
    assert.deepEqual([answer.status, answer.headers.get('cache-control'), answered], [200, 'no-store', { name: 'one', plan: null, faces: 'blur', faces_set: 'blur' }]);
    assert.deepEqual(await row(), [['blur', 'blur']]);
    const table = await followTable({ log: edge.log, producer: await edge.log.producer(), clock: systemClock, topic: policiesTopic });
    assert.deepEqual([...table.entries()].map(([key, value]) => [key, value.toString()]), [['one', '{"faces":"blur"}']], 'where all others read it');
    await table.close();
    await problemOf(await put('onee', { faces: 'blur' }), 404, 'not_found');
    await problemOf(await put('one', { faces: 'squares' }), 400, 'bad_request');
    await problemOf(await put('one', {}), 400, 'bad_request');
    await problemOf(await put('one', { faces: 'off' }, { ...(await admin()), 'content-type': 'application/json' }), 403, 'forbidden');
    const { number } = await edge.metadata.audit.head();
    const trail = (await edge.metadata.audit.read(Math.max(1, number - 20), 21)).map(({ entry }) => JSON.parse(entry) as { action: string; target: string; status: number });
    assert.deepEqual(trail.filter(({ action, status }) => action === 'PUT /v1/admin/tenants/:name/faces' && status === 200).map(({ target }) => target), ['{"tenant":"one","faces":"blur"}']);
    assert.equal((await put('one', { faces: null })).status, 200);
    assert.deepEqual(await row(), [['off', null]]);
  });

  test('when it was last used is written', async () => {
    const key = await edge.key('one', 'admin');
    const { id } = parseKey(key)!;
    await ask(bearer(key));
    const other = await startClosedEdge(database, { stages: [] });
    assert.equal((await fetch(`${other.url}/v1/admin/keys`, { headers: bearer(key) })).status, 200);
    await other.close();
    assert.ok(Math.abs((await edge.metadata.access.findKey(id))!.lastUsedAt! - Date.now()) < 60_000);
  });

  test('a ticket stands for whoever asked for it, on a GET, for seconds, and as long as its key does', async () => {
    const key = await edge.key('one', 'viewer');
    const response = await fetch(`${edge.url}/v1/tickets`, { method: 'POST', headers: bearer(key) });
    const { ticket, expires_in } = (await response.json()) as { ticket: string; expires_in: number };
    assert.deepEqual([response.status, expires_in], [201, 30]);
    const withTicket = (path: string, init?: RequestInit) => fetch(`${edge.url}${path}?ticket=${ticket}`, init);
    assert.equal((await withTicket('/live/frames/none')).status, 404);
    await problemOf(await withTicket('/v1/admin/keys'), 403, 'forbidden');
    await problemOf(await withTicket('/v1/tickets', { method: 'POST' }), 401, 'unauthenticated');
    const [body] = ticket.split('.');
    const forged = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(body!, 'base64url').toString()), role: 'admin' })).toString('base64url');
    await problemOf(await fetch(`${edge.url}/v1/admin/keys?ticket=${forged}.${ticket.split('.')[1]}`), 401, 'unauthenticated');
    await edge.metadata.access.revokeKey(parseKey(key)!.id, null);
    await eventually(async () => (await withTicket('/live/frames/none')).status === 401, 'its end');
  });

  test('what a pipeline that does not answer costs is the same for all: a body is not read before it is known who asks', async () => {
    await problemOf(await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'))), 401, 'unauthenticated');
    assert.equal((await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), bearer(await edge.key('one', 'operator'))))).status, 504);
    await problemOf(await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), bearer(await edge.key('one', 'viewer')))), 403, 'forbidden');
  });
});

test('metrics: a viewer of the home tenant, or the token that opens nothing else', async (t) => {
  const token = 'scrape-me-if-you-can';
  const database = await anyDatabase();
  t.after(() => database.stop());
  const edge = await startClosedEdge(database, { stages: [], env: { SACCADE_METRICS_TOKEN: token } });
  const at = (path: string, headers: Record<string, string> = {}) => fetch(`${edge.url}${path}`, { headers }).then(({ status }) => status);
  assert.deepEqual(
    [await at('/metrics'), await at('/metrics', bearer(token)), await at('/live/frames/none', bearer(token)), await at('/metrics', bearer(await edge.key('home', 'viewer'))), await at('/metrics', bearer(await edge.key('one', 'admin')))],
    [401, 200, 401, 200, 403],
  );
  assert.deepEqual([await at('/health'), await at('/ready')], [200, 200]);
  await edge.close();
});
