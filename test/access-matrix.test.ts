/** Every route there is, asked in earnest as every role and as another tenant, with something of both tenants wherever something can lie. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import type { FastifyInstance, RouteOptions } from 'fastify';
import sharp from 'sharp';
import { WebSocket } from 'ws';
import { clickhouseReader } from '../connectors/clickhouse/reader.ts';
import type { Store, StoreReader } from '../connectors/ports.ts';
import { parseKey } from '../processors/access/key.ts';
import { asking } from '../processors/sql/ask.ts';
import { sqlLimits } from '../processors/sql/config.ts';
import { publicViews, tenantViews } from '../processors/sql/views.ts';
import { type Role, roles } from '../schemas/roles.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { picture, raw } from './support/edge.ts';
import { embeddedStore } from './support/embedded-store.ts';
import { eventually } from './support/pipeline.ts';
import { type Asked, type Belongings, requests } from './support/route-requests.ts';
import { streamClient } from './support/stream-client.ts';
import { fillStore } from './support/tenant-rows.ts';

/** What anybody may have: nothing of it is anybody's. A route that is added here on purpose is named here. */
const anyones = [/^\/$/, /^\/page\//, /^\/health$/, /^\/ready$/, /^\/openapi\.json$/, /^\/docs(\/|$)/, /^\/v2\/health\//];
const tenants = ['a', 'b', 'home'] as const;
type Who = `${(typeof tenants)[number]} ${Role}`;

interface Route {
  readonly method: string;
  readonly url: string;
  readonly needs: Role | 'anyone';
  readonly homeOnly: boolean;
}

const routesOf = (options: readonly RouteOptions[]): Route[] =>
  options.flatMap(({ method, url, config }) => {
    const { needs = 'admin', homeOnly = false } = (config ?? {}) as { needs?: Role | 'anyone'; homeOnly?: boolean };
    return [method].flat().filter((one) => one !== 'OPTIONS').map((one) => ({ method: one, url, needs, homeOnly }));
  });
const nameOf = ({ method, url }: Route): string => `${method === 'HEAD' ? 'GET' : method} ${url}`;

describe('every route', { timeout: 280_000 }, () => {
  let database: TestDatabase;
  let edge: ClosedEdge;
  let opened: { store: Store; url: string };
  let reader: StoreReader;
  let port: FastifyInstance;
  let doorUrl: string;
  let routes: Route[];
  const keys = {} as Record<Who, string>;
  const own = {} as Record<'a' | 'b', Belongings>;
  const viewers = new AbortController();
  const as = (who: Who): Record<string, string> => bearer(keys[who]);

  embeddedStore('matrix', (store, url) => (opened = { store, url }));
  before(async () => {
    database = await anyDatabase();
    reader = clickhouseReader({ url: opened.url });
    const ask = asking({ reader, views: tenantViews(opened.store, 'saccade'), shown: 'saccade', limits: sqlLimits.parse({}) });
    edge = await startClosedEdge(database, { store: opened.store, ask });
    port = edge.door!;
    doorUrl = await port.listen({ host: '127.0.0.1', port: 0 });
    routes = routesOf(edge.routes);
    for (const tenant of tenants) for (const role of roles) keys[`${tenant} ${role}`] = await edge.key(tenant, role, { label: `mark-of-${tenant}` });
    const small = await sharp(picture('coffee')).resize(64).jpeg().toBuffer();
    for (const [n, name] of (['a', 'b'] as const).entries()) {
      const frame = `00000000-0000-8000-8000-00000000000${n + 1}`;
      own[name] = { name, mark: `mark-of-${name}`, frame, key: parseKey(keys[`${name} trainer`])!.id, picture: small, live: await heldPicture(name) };
    }
    await fillStore(opened.store, [own.a, own.b]);
  });
  after(async () => {
    viewers.abort();
    await port?.close();
    await edge?.close();
    await reader?.close();
    await database?.stop();
  });

  /** Somebody looks, so that pictures are held. */
  async function heldPicture(tenant: 'a' | 'b'): Promise<string> {
    const events = await fetch(`${edge.url}/live/events`, { headers: as(`${tenant} viewer`), signal: viewers.signal });
    void events.body?.pipeTo(new WritableStream()).catch(() => {});
    let frame = '';
    await eventually(async () => {
      const response = await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), as(`${tenant} operator`)));
      frame = ((await response.json()) as { id: string }).id;
      return (await fetch(`${edge.url}/live/frames/${frame}`, { headers: as(`${tenant} viewer`) })).status === 200;
    }, 'a picture that is held');
    return frame;
  }

  async function call(route: Route, headers: Record<string, string>, mine: Belongings): Promise<{ status: number; text: string }> {
    const { path, body, type }: Asked = requests[nameOf(route)]!;
    const content = ['GET', 'HEAD'].includes(route.method) ? undefined : body?.(mine);
    const response = await fetch(`${edge.url}${path?.(mine) ?? route.url}`, {
      method: route.method,
      headers: { ...(type === undefined ? {} : { 'content-type': type }), ...headers },
      ...(content === undefined ? {} : { body: Buffer.isBuffer(content) ? new Uint8Array(content) : content }),
      signal: AbortSignal.timeout(20_000),
    });
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      await response.body?.cancel();
      return { status: response.status, text: '' };
    }
    return { status: response.status, text: await response.text() };
  }
  const marks = (text: string): string[] => (['a', 'b'] as const).filter((name) => text.includes(own[name].mark));

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
