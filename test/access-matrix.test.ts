/** Every route there is, as every role and as another tenant: a route that is added is tried by itself. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RouteOptions } from 'fastify';
import { type Role, roles } from '../schemas/roles.ts';
import { parseKey } from '../processors/access/key.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { picture, raw } from './support/edge.ts';
import { embeddedStore } from './support/embedded-store.ts';
import { eventually } from './support/pipeline.ts';
import type { Store } from '../connectors/ports.ts';

/** What anybody may have: nothing of it is anybody's. A route that is added here on purpose is named here. */
const anyones = [/^\/$/, /^\/page\//, /^\/health$/, /^\/ready$/, /^\/openapi\.json$/, /^\/docs(\/|$)/, /^\/v2\/health\//];
/** Answers of these are the tenant's own, or the installation's: said to each in the same words. */
const secret = 'camera-nobody-else-may-see';

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

describe('every route', { timeout: 240_000 }, () => {
  let database: TestDatabase;
  let edge: ClosedEdge;
  let store: Store;
  let routes: Route[];
  const keys: Partial<Record<`${'a' | 'b' | 'home'} ${Role}`, string>> = {};
  /** Of tenant a: a frame that was answered, a key to revoke. */
  let frame = '';
  const viewer = new AbortController();
  const as = (who: keyof typeof keys): Record<string, string> => bearer(keys[who]!);

  embeddedStore('matrix', (opened) => (store = opened));
  before(async () => {
    database = await anyDatabase();
    edge = await startClosedEdge(database, { store });
    routes = routesOf(edge.routes);
    for (const tenant of ['a', 'b', 'home'] as const) for (const role of roles) keys[`${tenant} ${role}`] = await edge.key(tenant, role, { label: tenant === 'a' ? secret : '' });
    // Somebody looks, so that pictures are held.
    const events = await fetch(`${edge.url}/live/events`, { headers: as('a viewer'), signal: viewer.signal });
    void events.body?.pipeTo(new WritableStream()).catch(() => {});
    await eventually(async () => {
      const response = await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), { ...as('a operator'), 'idempotency-key': `secret-${Math.random()}` }));
      frame = ((await response.json()) as { id: string }).id;
      return (await fetch(`${edge.url}/live/frames/${frame}`, { headers: as('a viewer') })).status === 200;
    }, 'a picture that is held');
  });
  after(async () => {
    viewer.abort();
    await edge.close();
    await database.stop();
  });

  /** With what tenant a has in the places of its parameters. Head and body of the answer; of a stream what comes first. */
  async function call(route: Route, headers: Record<string, string>, id = frame): Promise<{ status: number; text: string }> {
    const url = `${edge.url}${route.url.replace('*', 'index.html').replaceAll(/:(\w+)/g, (_, name: string) => (/model/.test(name) ? 'nanodet' : /version/.test(name) ? '1' : id))}`;
    const body = ['GET', 'HEAD'].includes(route.method) ? {} : { body: '{}' };
    const limit = AbortSignal.timeout(8_000);
    const response = await fetch(url, { method: route.method, headers: { ...(body.body ? { 'content-type': 'application/json' } : {}), ...headers }, ...body, redirect: 'manual', signal: limit });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    let text = new TextDecoder().decode(first?.value);
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      for (let next = first; next && !next.done; next = await reader!.read()) text += next === first ? '' : new TextDecoder().decode(next.value);
    }
    await reader?.cancel();
    return { status: response.status, text };
  }

  test('there are the routes that are known, and those for anybody are named here', () => {
    for (const url of ['/v1/infer', '/v1/batch_infer', '/v1/results/:id', '/v1/stream', '/v1/sql', '/v1/admin/keys', '/v1/admin/keys/:id', '/v1/admin/tenants', '/v1/tickets', '/live/events', '/live/frames/:id', '/metrics']) {
      assert.ok(routes.some((route) => route.url === url), url);
    }
    for (const { url, needs } of routes) if (needs === 'anyone') assert.ok(anyones.some((pattern) => pattern.test(url)), `${url} is open to anybody`);
  });

  test('each role has what it may and nothing more', async () => {
    const everyone = (['b', 'home'] as const).flatMap((tenant) => roles.map((role) => ({ tenant, role })));
    for (const route of routes) {
      await Promise.all(everyone.map(async ({ tenant, role }) => {
        const { status } = await call(route, as(`${tenant} ${role}`), 'none');
        const may = route.needs === 'anyone' || (roles.indexOf(role) >= roles.indexOf(route.needs) && (!route.homeOnly || tenant === 'home'));
        const what = `${route.method} ${route.url} as ${role} of ${tenant}: ${status}`;
        if (may) assert.ok(status !== 401 && status !== 403, what);
        else assert.equal(status, 403, what);
      }));
    }
  });

  test("another tenant's admin sees and changes nothing of a's, and a does", async () => {
    const mine = parseKey(keys['a trainer']!)!.id;
    const seen: string[] = [];
    for (const route of routes) {
      if (route.needs === 'anyone' || route.url === '/v1/stream' || route.homeOnly) continue;
      const id = route.url.includes('/keys/') ? mine : frame;
      const theirs = await call(route, as('b admin'), id);
      assert.ok(!theirs.text.includes(secret), `${route.method} ${route.url} tells b of a`);
      // Of what a parameter names, that it is there is told already by anything but 404.
      if (/:id/.test(route.url)) assert.equal(theirs.status, 404, `${route.method} ${route.url}: ${theirs.status}`);
      if (route.method === 'DELETE') continue;
      const own = await call(route, as('a admin'), id);
      if (own.text.includes(secret) || (/:id/.test(route.url) && own.status === 200)) seen.push(`${route.method} ${route.url}`);
    }
    for (const known of ['GET /v1/admin/keys', 'GET /v1/results/:id', 'GET /live/frames/:id']) assert.ok(seen.includes(known), `a itself gets nothing of ${known}: ${seen.join()}`);
    assert.equal((await edge.metadata.access.findKey(mine))!.revokedAt, null);
  });

  test('without a key, or with a wrong one: 401', async () => {
    for (const route of routes) {
      if (route.needs === 'anyone') continue;
      assert.equal((await call(route, {})).status, 401, `${route.method} ${route.url}`);
      // Of many wrong ones from one address the later are not looked at.
      const { status } = await call(route, bearer(`sac_${'x'.repeat(16)}_${'y'.repeat(43)}`));
      assert.ok(status === 401 || status === 429, `${route.method} ${route.url} answers ${status}`);
    }
  });

  test('the same Idempotency-Key is another frame for another tenant', async () => {
    const post = async (who: keyof typeof keys) => ((await (await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), { ...as(who), 'idempotency-key': 'one' }))).json()) as { id: string }).id;
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
