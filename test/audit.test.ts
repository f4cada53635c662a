/** The audit trail: what is done is in it, what was tampered with is found, and a trail that cannot be written stops what it should have recorded. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import Fastify from 'fastify';
import { generateSync } from 'otplib';
import pg from 'pg';
import { openMetadata } from '../connectors/postgres/metadata.ts';
import { readAudit } from '../processors/access-commands/read-topic.ts';
import { verifyTrail } from '../processors/access-commands/verify.ts';
import { installAudit } from '../processors/access/audit-hooks.ts';
import { auditTrail } from '../processors/access/audit-trail.ts';
import { parseKey } from '../processors/access/key.ts';
import { installPrincipals } from '../processors/edge/principal.ts';
import { installProblems } from '../processors/edge/problem.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { type AuditEntry, chain, chainCheck, entryText, genesis } from '../schemas/audit.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { picture, problemOf, raw } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';

const entry = (target: string): AuditEntry => ({ at: 1, actor: 'key:a', tenant: 't', role: 'admin', action: 'x', target, status: 200, address: '' });

/** POSTs as clients do that would rather speak HTTP/2. */
const offeringH2c = (url: string, headers: Record<string, string>, body: string) =>
  new Promise<{ status: number; body: string }>((resolve, reject) => {
    request(url, { method: 'POST', headers: { ...headers, connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' } })
      .on('response', (response) => void textOf(response).then((text) => resolve({ status: response.statusCode!, body: text }), reject))
      .on('error', reject)
      .end(body);
  });

describe('the chain', () => {
  const whole = chain(['a', 'b', 'c', 'd', 'e'].map((target) => entryText(entry(target))), 0, genesis);
  const at = (entries: typeof whole) => chainCheck()(entries)?.number ?? null;

  test('is whole, also where it is read in parts', () => {
    assert.equal(at(whole), null);
    const check = chainCheck();
    assert.deepEqual([check(whole.slice(0, 2)), check([]), check(whole.slice(2))], [null, null, null]);
  });
  test('any change is found where it is', () => {
    for (let i = 0; i < whole.length; i++) {
      assert.equal(at(whole.with(i, { ...whole[i]!, entry: whole[i]!.entry.replace('key:a', 'key:b') })), i + 1);
      if (i < 4) assert.equal(at(whole.toSpliced(i, 1)), i + 1, 'left out');
      assert.equal(at(whole.toSpliced(i, 0, whole[i]!)), i + 2, 'twice');
    }
    const rewritten = chain([entryText(entry('B')), ...whole.slice(2).map((one) => one.entry)], 1, whole[0]!.hash);
    assert.equal(at([whole[0]!, ...rewritten]), null, 'a chain that is rewritten to its end is whole: the topic tells');
    assert.equal(at([whole[1]!, whole[0]!, ...whole.slice(2)]), 1, 'in another order');
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
  const entries = async (): Promise<AuditEntry[]> => (await edge.metadata.audit.read(1, 100_000)).map((one) => JSON.parse(one.entry) as AuditEntry);
  const found = async (about: (one: AuditEntry) => boolean): Promise<AuditEntry> => {
    let hit: AuditEntry | undefined;
    await eventually(async () => (hit = (await entries()).find(about)) !== undefined, 'the entry');
    return hit!;
  };

  test('who did what to what, how it ended and from where; what an admin changes before it is answered', async () => {
    const key = await edge.key('one', 'admin');
    const response = await fetch(`${edge.url}/v1/admin/keys`, { method: 'POST', headers: { ...bearer(key), 'content-type': 'application/json' }, body: '{"role":"viewer"}' });
    const { id } = (await response.json()) as { id: string };
    const made = (await entries()).find(({ target }) => target.includes(id))!;
    assert.deepEqual({ ...made, at: 0, target: '' }, { at: 0, actor: `key:${parseKey(key)!.id}`, tenant: 'one', role: 'admin', action: 'POST /v1/admin/keys', target: '', status: 201, address: '127.0.0.1' });
    await fetch(`${edge.url}/v1/infer?model=nanodet`, raw(picture('chelsea'), bearer(key)));
    assert.equal((await found(({ action }) => action === 'POST /v1/infer')).status, 504);
  });

  test('refusals are in it, secrets are not', async () => {
    const viewer = await edge.key('one', 'viewer');
    await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), bearer(viewer)));
    assert.equal((await found(({ status }) => status === 403)).actor, `key:${parseKey(viewer)!.id}`);
    await fetch(`${edge.url}/v1/admin/keys?password=hunter2`, { headers: bearer(`sac_${'q'.repeat(16)}_${'q'.repeat(43)}`) });
    const refused = await found(({ status }) => status === 401);
    assert.deepEqual([refused.actor, refused.role], ['', '']);
    const { ticket } = (await (await fetch(`${edge.url}/v1/tickets`, { method: 'POST', headers: bearer(viewer) })).json()) as { ticket: string };
    await fetch(`${edge.url}/v1/admin/keys?ticket=${ticket}&tenant=one`);
    await found(({ target }) => target === '{"tenant":"one"}');
    assert.doesNotMatch(JSON.stringify(await entries()), /hunter2|q{43}|ticket=|eyJ/);
    await fetch(`${edge.url}/health`);
    assert.ok(!(await entries()).some(({ action }) => action.includes('/health')));
  });

  test('what the database takes for no text is recorded as what can be read of it, and holds up nothing after it', async () => {
    // A stranger's: it is cut in the middle of a character.
    assert.equal((await fetch(`${edge.url}/v1/predictions?source=${'x'.repeat(488)}😀`)).status, 401);
    const { target } = await found((one) => one.target.includes('xxx'));
    assert.deepEqual([target.length, target.at(-1)], [500, '\ufffd']);
    await edge.metadata.audit.append([{ ...entry('a\0b'), actor: 'token:x#\0' }]);
    assert.equal((await found((one) => one.action === 'x')).actor, 'token:x#\ufffd');
    const key = await edge.key('one', 'admin');
    assert.equal((await fetch(`${edge.url}/v1/admin/keys`, { method: 'POST', headers: { ...bearer(key), 'content-type': 'application/json' }, body: '{"role":"viewer"}' })).status, 201);
  });

  test('an offer to leave HTTP that is passed over changes nothing of what is recorded, and when', async () => {
    const key = await edge.key('one', 'admin');
    const actor = `key:${parseKey(key)!.id}`;
    const post = (path: string, body: object) => offeringH2c(`${edge.url}${path}`, { ...bearer(key), 'content-type': 'application/json' }, JSON.stringify(body));
    const made = await post('/v1/admin/keys', { role: 'viewer' });
    const { id } = JSON.parse(made.body) as { id: string };
    assert.deepEqual([made.status, (await entries()).find(({ target }) => target.includes(id))?.status], [201, 201], 'in the trail by the time it is answered');
    const viewer = await edge.key('one', 'viewer');
    assert.equal((await offeringH2c(`${edge.url}/v1/admin/keys`, { ...bearer(viewer), 'content-type': 'application/json' }, '{"role":"admin"}')).status, 403);
    await found((one) => one.actor === `key:${parseKey(viewer)!.id}` && one.status === 403);
    const { secret } = JSON.parse((await post('/v1/admin/second-factor', {})).body) as { secret: string };
    assert.equal((await post('/v1/admin/second-factor/confirm', { code: generateSync({ secret }) })).status, 204);
    assert.equal((await post('/v1/admin/keys', { role: 'viewer' })).status, 403, 'without its second factor');
    await found((one) => one.actor === actor && one.action === 'POST /v1/admin/keys' && one.status === 403);
    assert.ok(!(await entries()).some(({ status }) => status === 101));
  });

  test('the topic holds the same, and tampering with the table is located, also of the whole chain', async () => {
    await fetch(`${edge.url}/v1/admin/keys`, { headers: bearer(await edge.key('one', 'admin')) });
    const own = await openMetadata(database.url);
    const topic = (visit: Parameters<typeof readAudit>[1]) => readAudit({ log: edge.log }, visit);
    // In the table first: what is still gathered would come after the bulk.
    await systemClock.sleep(1_000);
    await own.audit.append(Array.from({ length: 2500 }, (_, i) => entry(`bulk${i}`)));
    await eventually(async () => (await verifyTrail(own.audit, topic)).compared! >= 2500, 'the topic to have it', 20_000);
    const whole = await verifyTrail(own.audit, topic);
    assert.equal(whole.broken, null);
    assert.equal(whole.entries, (await own.audit.head()).number);

    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    /** Undone afterwards. */
    async function tampered(sql: string): Promise<Awaited<ReturnType<typeof verifyTrail>>> {
      await client.query('CREATE TABLE kept AS SELECT number, entry, hash FROM audit; CREATE TABLE kept_head AS SELECT number, hash FROM audit_head');
      await client.query(sql);
      const verdict = await verifyTrail(own.audit, topic);
      await client.query('DELETE FROM audit; INSERT INTO audit (number, entry, hash) SELECT * FROM kept; UPDATE audit_head SET number = k.number, hash = k.hash FROM kept_head k; DROP TABLE kept; DROP TABLE kept_head');
      return verdict;
    }
    assert.equal((await tampered(`UPDATE audit SET entry = replace(entry, 'bulk7"', 'bulk8"') WHERE entry LIKE '%bulk7"%'`)).broken!.number, whole.entries - 2500 + 8);
    assert.equal((await tampered('DELETE FROM audit WHERE number = 3')).broken!.number, 3);
    const cut = await tampered(`DELETE FROM audit WHERE number > ${whole.entries - 5}`);
    assert.equal(cut.broken!.number, whole.entries - 4, cut.broken!.why);
    const cutWithHead = await tampered(`DELETE FROM audit WHERE number > ${whole.entries - 5}; UPDATE audit_head SET (number, hash) = (SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1)`);
    assert.deepEqual([cutWithHead.broken!.number, /topic/.test(cutWithHead.broken!.why)], [whole.entries - 4, true]);
    // Whoever knows the algorithm hashes anew from there on: the table alone is whole.
    const all = await own.audit.read(1, 1_000_000);
    const from = whole.entries - 10;
    const forged = chain(all.slice(from).map(({ entry: text }, i) => (i === 0 ? text.replace('bulk', 'BULK') : text)), from, all[from - 1]!.hash);
    const statements = forged.map(({ number, entry: text, hash }) => `UPDATE audit SET entry = '${text}', hash = '\\x${hash.toString('hex')}' WHERE number = ${number}`);
    const rewritten = await tampered(`${statements.join(';')}; UPDATE audit_head SET hash = '\\x${forged.at(-1)!.hash.toString('hex')}'`);
    assert.deepEqual([rewritten.broken!.number, /topic has another/.test(rewritten.broken!.why)], [from + 1, true]);
    assert.equal((await verifyTrail(own.audit, topic)).broken, null, 'undone');
    await client.end();
    await own.close();
  });
});

test('a trail that cannot be written for long stops what it would have to record, and goes on when it can', async () => {
  const written: string[] = [];
  let away = true;
  const warned: string[] = [];
  const trail = auditTrail({
    store: {
      async append(all) {
        if (away) throw new Error('the database is away');
        written.push(...all.map(({ target }) => target));
      },
      read: async () => [], head: async () => ({ number: 0, hash: genesis, pruned: { number: 0, hash: genesis } }), publish: async () => 0, prune: async () => 0,
    },
    clock: systemClock, publisher: 'p', send: null, tenant: 'home', log: { warn: (_fields, message) => void warned.push(message) },
  });
  for (let i = 0; i <= 20_000; i++) trail.record(entry(`${i}`));
  assert.equal(trail.full, true);
  await assert.rejects(trail.written(), /away/);
  await eventually(() => warned.length === 1, 'a warning');
  away = false;
  await trail.written();
  assert.equal(trail.full, false);
  assert.deepEqual(written, Array.from({ length: 20_001 }, (_, i) => `${i}`), 'all, once, in order');
  await trail.close();
});

test('entries are kept for as long as is said, and a day more; then a day of them goes at once', async () => {
  const dayMs = 86_400_000;
  let [now, oldest] = [100 * dayMs, 91 * dayMs];
  let asleep = (): void => {};
  let wake = (): void => {};
  const pruned: number[] = [];
  const trail = auditTrail({
    store: {
      append: async () => {}, publish: async () => 0,
      read: async (from) => [{ number: from, entry: entryText({ ...entry('x'), at: oldest }), hash: genesis }],
      head: async () => ({ number: 9, hash: genesis, pruned: { number: 7, hash: genesis } }),
      async prune(since, _now, tenant) {
        assert.equal(tenant, 'home');
        pruned.push(since);
        oldest = since;
        return 1;
      },
    },
    clock: { now: () => now, sleep: (_ms, signal) => new Promise((resolve) => { wake = resolve; signal?.addEventListener('abort', () => resolve()); asleep(); }) },
    publisher: 'p', send: null, keepMs: 10 * dayMs, tenant: 'home', log: { warn: (_fields, message) => assert.fail(message) },
  });
  const later = async (ms: number): Promise<void> => {
    now += ms;
    const looked = new Promise<void>((resolve) => (asleep = resolve));
    wake();
    await looked;
  };
  await later(0);
  assert.deepEqual(pruned, [], 'it is old enough for a part of a day only');
  await later(2 * dayMs);
  assert.deepEqual(pruned, [92 * dayMs]);
  await later(dayMs - 1);
  assert.equal(pruned.length, 1);
  await later(3_600_000);
  assert.equal(pruned.length, 2);
  await trail.close();
});

test('an edge whose trail is full answers 503 and does nothing', async () => {
  const app = Fastify();
  installProblems(app);
  installPrincipals(app, async () => ({ id: 'key:x', tenant: 't', role: 'admin', kind: 'key' }));
  installAudit(app, { trail: { record() {}, written: async () => {}, full: true, close: async () => {} }, clock: systemClock });
  let done = 0;
  app.post('/do', { config: { needs: 'operator' } }, () => `${++done}`);
  app.get('/health', { config: { needs: 'anyone' } }, () => 'ok');
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  await problemOf(await fetch(`${url}/do`, { method: 'POST' }), 503, 'metadata_unavailable');
  assert.deepEqual([done, (await fetch(`${url}/health`)).status], [0, 200]);
  await app.close();
});
