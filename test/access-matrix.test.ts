/** Every route there is, asked in earnest as every role and as another tenant, with something of both tenants wherever something can lie. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { publicViews } from '../processors/sql/views.ts';
import { type Role, roles } from '../schemas/roles.ts';
import { accessMatrix, type Matrix, nameOf, routesOf, type Who } from './support/access-matrix.ts';
import { anyDatabase, bearer, startClosedEdge } from './support/closed-edge.ts';
import { picture, raw } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { type Belongings, requests } from './support/route-requests.ts';
import { streamClient } from './support/stream-client.ts';

/** What anybody may have: nothing of it is anybody's. A route that is added here on purpose is named here. */
const anyones = [/^\/$/, /^\/page\//, /^\/health$/, /^\/ready$/, /^\/openapi\.json$/, /^\/docs(\/|$)/, /^\/v2\/health\//];

describe('every route', { timeout: 280_000 }, () => {
  let edge: Matrix['edge'];
  let doorUrl: Matrix['doorUrl'];
  let routes: Matrix['routes'];
  let keys: Matrix['keys'];
  let own: Matrix['own'];
  let as: Matrix['as'];
  let call: Matrix['call'];
  let marks: Matrix['marks'];
  accessMatrix('matrix', (made) => void ({ edge, doorUrl, routes, keys, own, as, call, marks } = made));

  test('each has a request in test/support/route-requests.ts, but for those for anybody, which are named here', () => {
    const known = new Set(routes.map(nameOf));
    for (const route of routes) {
      if (route.needs === 'anyone') assert.ok(anyones.some((pattern) => pattern.test(route.url)), `${route.url} is open to anybody`);
      else assert.ok(requests[nameOf(route)], `no request for ${nameOf(route)}`);
    }
    for (const name of Object.keys(requests)) assert.ok(known.has(name), `there is no route ${name}`);
  });

  test('its owner is answered, with what is its own and with nothing of anybody else', async () => {
    for (const route of routes) {
      const asked = requests[nameOf(route)];
      if (!asked || asked.once || asked.open) continue;
      for (const name of ['a', 'b'] as const) {
        // What is for the installation's own tenant alone tells of all.
        const { status, text } = await call(route, as(route.homeOnly ? 'home admin' : `${name} admin`), own[name]);
        const what = `${route.method} ${route.url} as ${name}: ${text.slice(0, 500)}`;
        assert.equal(status, asked.status, what);
        assert.doesNotMatch(text, /"errors":\[\{/, what);
        if (!route.homeOnly && route.method !== 'HEAD') assert.deepEqual(marks(text), asked.tells ? [name] : [], what);
      }
    }
  });

  test("what a request names of another tenant is not there, for its admin either, and stays as it is", async () => {
    let named = 0;
    for (const route of routes) {
      if (!requests[nameOf(route)]?.names) continue;
      named += 1;
      const { status, text } = await call(route, as('b admin'), own.a);
      assert.equal(status, 404, `${route.method} ${route.url}: ${text}`);
      assert.deepEqual(marks(text), []);
    }
    assert.ok(named >= 3);
    assert.equal((await edge.metadata.access.findKey(own.a.key))!.revokedAt, null);
    const query = (id: string) => JSON.stringify({ query: 'query ($id: ID!) { result(id: $id) { status outcomes { model } } }', variables: { id } });
    const ask = async (id: string) => (await (await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { ...as('b admin'), 'content-type': 'application/json' }, body: query(id) })).json()) as { errors?: { extensions: { code: string } }[] };
    assert.equal((await ask(own.b.frame)).errors, undefined);
    for (const id of [own.a.frame, own.a.live]) assert.equal((await ask(id)).errors?.[0]?.extensions.code, 'not_found');
    for (const filter of ['source', 'model', 'label']) {
      for (const path of ['predictions', 'stats', 'drift'].filter((each) => filter !== 'label' || each === 'predictions')) {
        const response = await fetch(`${edge.url}/v1/${path}?${filter}=${own.a.mark}`, { headers: as('b admin') });
        assert.deepEqual([response.status, marks(await response.text())], [200, []], `${path} by ${filter}`);
      }
    }
  });

  test('each role has what it may and nothing more', async () => {
    const everyone = (['b', 'home'] as const).flatMap((tenant) => roles.map((role) => ({ tenant, role })));
    const nothing: Belongings = { ...own.b, frame: '00000000-0000-8000-8000-0000000000ff', live: 'none', key: 'none' };
    for (const route of routes) {
      if (route.needs === 'anyone') continue;
      await Promise.all(everyone.map(async ({ tenant, role }) => {
        const { status, text } = await call(route, as(`${tenant} ${role}`), nothing);
        const may = roles.indexOf(role) >= roles.indexOf(route.needs as Role) && (!route.homeOnly || tenant === 'home');
        const what = `${route.method} ${route.url} as ${role} of ${tenant}: ${status} ${text.slice(0, 300)}`;
        if (!may) {
          assert.equal(status, 403, what);
          if (route.method !== 'HEAD') assert.match(text, /This needs the role|the tenant that runs the installation/, what);
        } else if (route.url.endsWith('/confirm')) assert.match(text, /not_found|second_factor_needed/, what);
        else assert.ok(status !== 401 && status !== 403 && status < 500, what);
      }));
    }
    const infer = { query: 'mutation ($i: String!) { infer(image: $i, model: "efficientnet-lite0") { id } }', variables: { i: own.b.picture.toString('base64') } };
    for (const role of roles) {
      const response = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { ...as(`b ${role}`), 'content-type': 'application/json' }, body: JSON.stringify(infer) });
      const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
      assert.equal(errors?.[0]?.extensions.code, role === 'viewer' ? 'forbidden' : undefined, `infer as ${role}`);
    }
  });

  test('without a key, or with a wrong one: 401', async () => {
    for (const route of routes) {
      if (route.needs === 'anyone') continue;
      assert.equal((await call(route, {}, own.a)).status, 401, `${route.method} ${route.url}`);
      // Of many wrong ones from one address the later are not looked at.
      const { status } = await call(route, bearer(`sac_${'x'.repeat(16)}_${'y'.repeat(43)}`), own.a);
      assert.ok(status === 401 || status === 429, `${route.method} ${route.url} answers ${status}`);
    }
  });

  test('SQL sees the rows of whoever asks, in each view and by both doors', async () => {
    const doors = {
      edge: (sql: string, who: Who) => fetch(`${edge.url}/v1/sql?format=JSONEachRow`, { method: 'POST', headers: { ...as(who), 'content-type': 'text/plain' }, body: sql }),
      port: (sql: string, who: Who) => fetch(`${doorUrl}/?default_format=JSONEachRow`, { method: 'POST', headers: { 'x-clickhouse-key': keys[who] }, body: sql }),
      'port by GET': (sql: string, who: Who) => fetch(`${doorUrl}/?default_format=JSONEachRow&query=${encodeURIComponent(sql)}`, { headers: { 'x-clickhouse-key': keys[who] } }),
    };
    for (const [way, ask] of Object.entries(doors)) {
      for (const view of publicViews) {
        for (const name of ['a', 'b'] as const) {
          const response = await ask(`select * from ${view}`, `${name} viewer`);
          const text = await response.text();
          assert.deepEqual([response.status, marks(text)], [200, [name]], `${view} by the ${way} as ${name}: ${text.slice(0, 300)}`);
        }
      }
      const other = await ask('select * from saccade_tenant_a.predictions', 'b admin');
      assert.ok(other.status >= 400 && marks(await other.text()).length === 0, way);
    }
    for (const { method, url, needs } of routesOf(edge.doorRoutes)) {
      if (needs === 'anyone') assert.ok(['/ping', '/replicas_status'].includes(url), url);
      else assert.equal((await fetch(`${doorUrl}${url}`, { method })).status, 401, `${method} ${url}`);
    }
  });

  test("a stream's session cannot be gone on with by another tenant; by its own it can", async () => {
    const wish = { source: own.a.mark, model: 'efficientnet-lite0', policy: 'wait' };
    const first = await streamClient(edge.url, wish, as('a operator'));
    await first.paced(0, own.a.picture);
    await eventually(() => first.outcomes().length === 1, 'its outcome');
    const { session } = first.welcome();
    const { id } = first.outcomes()[0]!;
    const again = { ...wish, session: String(session) };
    const foreign = await streamClient(edge.url, again, as('b admin'));
    assert.deepEqual([foreign.welcome().resume, foreign.welcome().received, foreign.outcomes()], ['moved', null, []]);
    assert.equal(first.closed(), null, 'it has not been taken from its owner');
    // The same number of the same session is another frame.
    await foreign.paced(0, own.b.picture);
    await eventually(() => foreign.outcomes().length === 1, 'an outcome of its own');
    assert.notEqual(foreign.outcomes()[0]!.id, id);
    await first.close();
    const back = await streamClient(edge.url, again, as('a operator'));
    await eventually(() => back.outcomes().length === 1, 'what it had');
    assert.deepEqual([back.welcome().resume, back.outcomes()[0]!.id], ['held', id]);
    for (const client of [foreign, back]) await client.close();
  });

  test('a subscription to a source hears of that of its own tenant', async () => {
    const heard = { a: [] as string[], b: [] as string[] };
    const sockets = await Promise.all((['a', 'b'] as const).map(async (name) => {
      const socket = new WebSocket(`${edge.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers: as(`${name} viewer`) });
      await once(socket, 'open');
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as { type: string; payload?: { data: { predictions: { frameId: string } } } };
        heard[name].push(message.type === 'next' ? message.payload!.data.predictions.frameId : message.type);
      });
      socket.send(JSON.stringify({ type: 'connection_init' }));
      socket.send(JSON.stringify({ type: 'subscribe', id: 's', payload: { query: 'subscription { predictions(source: "shared-name") { frameId } }' } }));
      // Answered after it was carried out.
      socket.send(JSON.stringify({ type: 'subscribe', id: 'q', payload: { query: '{ nothing }' } }));
      await eventually(() => heard[name].includes('error'), 'the subscription');
      return socket;
    }));
    const seen: Record<'a' | 'b', string[]> = { a: [], b: [] };
    for (const name of ['a', 'b', 'a', 'b'] as const) {
      const client = await streamClient(edge.url, { source: 'shared-name', model: 'efficientnet-lite0', policy: 'wait' }, as(`${name} operator`));
      await client.paced(0, own[name].picture);
      await eventually(() => client.outcomes().length === 1, 'its outcome');
      seen[name].push(String(client.outcomes()[0]!.id));
      await eventually(() => heard[name].includes(seen[name].at(-1)!), `${name} to hear of it`);
      await client.close();
    }
    for (const name of ['a', 'b'] as const) assert.deepEqual(heard[name].filter((one) => one.includes('-')), seen[name]);
    for (const socket of sockets) socket.terminate();
  });

  test('the same Idempotency-Key is another frame for another tenant', async () => {
    const post = async (who: Who) => ((await (await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), { ...as(who), 'idempotency-key': 'one' }))).json()) as { id: string }).id;
    const [a, again, b] = [await post('a operator'), await post('a admin'), await post('b operator')];
    assert.equal(a, again);
    assert.notEqual(a, b);
  });
});

test('live: each tenant is shown its own', { timeout: 120_000 }, async () => {
  const database = await anyDatabase();
  const edge = await startClosedEdge(database);
  const stop = new AbortController();
  const seen = { a: '', b: '' };
  for (const tenant of ['a', 'b'] as const) {
    const response = await fetch(`${edge.url}/live/events`, { headers: bearer(await edge.key(tenant, 'viewer')), signal: stop.signal });
    void response.body!.pipeThrough(new TextDecoderStream()).pipeTo(new WritableStream({ write: (text) => void (seen[tenant] += text) })).catch(() => {});
  }
  const operator = bearer(await edge.key('a', 'operator'));
  await eventually(async () => {
    const response = await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), operator));
    assert.equal(response.status, 200);
    return /event: frame/.test(seen.a) && /"recent":\[\{/.test(seen.a);
  }, 'a to see its frame');
  await eventually(() => seen.b.split('event: stats').length > 3, 'b to be told as often');
  assert.doesNotMatch(seen.b, /event: frame|"recent":\[\{|"sources":\[\{/);
  stop.abort();
  await edge.close();
  await database.stop();
});
