/** What stays open once it was allowed ends when its key or token does: streams, subscriptions and the page's events, on every edge. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { WebSocket } from 'ws';
import { SaccadeError } from '../connectors/errors.ts';
import { parseKey } from '../processors/access/key.ts';
import { keepVigil } from '../processors/access/vigil.ts';
import type { Principal } from '../processors/edge/principal.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { picture } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { refusedUpgrade, streamClient } from './support/stream-client.ts';

interface Open {
  /** With which code, or null while it is open. */
  closed(): number | null;
  leave(): void;
}

describe('two edges on one database', { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let edges: ClosedEdge[];
  before(async () => {
    database = await anyDatabase();
    edges = [await startClosedEdge(database, { stages: [] }), await startClosedEdge(database, { stages: [] })];
  });
  after(async () => {
    for (const edge of edges) await edge.close();
    await database.stop();
  });

  const ticketOf = async (edge: ClosedEdge, key: string): Promise<string> =>
    ((await (await fetch(`${edge.url}/v1/tickets`, { method: 'POST', headers: bearer(key) })).json()) as { ticket: string }).ticket;

  async function video(edge: ClosedEdge, key: string, by: 'header' | 'ticket'): Promise<Open> {
    const client = by === 'header' ? await streamClient(edge.url, { source: 'gate' }, bearer(key)) : await streamClient(edge.url, { source: 'gate', ticket: await ticketOf(edge, key) });
    return { closed: () => client.closed()?.code ?? null, leave: () => client.socket.terminate() };
  }

  async function subscription(edge: ClosedEdge, key: string): Promise<Open & { readonly socket: WebSocket }> {
    const socket = new WebSocket(`${edge.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers: bearer(key) });
    let code: number | null = null;
    socket.on('close', (given) => (code = given));
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    await once(socket, 'message');
    socket.send(JSON.stringify({ type: 'subscribe', id: 'a', payload: { query: 'subscription { predictions(source: "gate") { id } }' } }));
    return { socket, closed: () => code, leave: () => socket.terminate() };
  }

  async function events(edge: ClosedEdge, key: string): Promise<Open> {
    const leaving = new AbortController();
    const response = await fetch(`${edge.url}/live/events`, { headers: bearer(key), signal: leaving.signal });
    assert.equal(response.status, 200);
    let code: number | null = null;
    response.text().then(() => (code = 0), () => {});
    return { closed: () => code, leave: () => leaving.abort() };
  }

  const everything = async (key: string): Promise<Open[]> =>
    (await Promise.all(edges.map((edge) => Promise.all([video(edge, key, 'header'), video(edge, key, 'ticket'), subscription(edge, key), events(edge, key)])))).flat();
  const codes = (all: readonly Open[]): (number | null)[] => all.map((one) => one.closed());

  test('a revoked key takes everything it opened with it, on both edges, and nothing of anybody else', async () => {
    const [leaked, other] = [await edges[0]!.key('one', 'operator'), await edges[0]!.key('one', 'operator')];
    const [theirs, others] = [await everything(leaked), await everything(other)];
    const admin = await edges[0]!.key('one', 'admin');
    const revoked = await fetch(`${edges[0]!.url}/v1/admin/keys/${parseKey(leaked)!.id}`, { method: 'DELETE', headers: bearer(admin) });
    assert.equal(revoked.status, 200);
    await eventually(() => codes(theirs).every((code) => code !== null), 'the end of all that it opened');
    assert.deepEqual(codes(theirs), [4401, 4401, 4401, 0, 4401, 4401, 4401, 0]);
    assert.deepEqual(codes(others), Array(8).fill(null));
    assert.equal((await refusedUpgrade(`${edges[1]!.url}/v1/stream?source=gate`, bearer(leaked))).status, 401);
    for (const one of others) one.leave();
  });

  test('a key that expires takes them with it too', async () => {
    const key = await edges[0]!.key('one', 'operator', { expiresAt: Date.now() + 4_000 });
    const all = await everything(key);
    assert.deepEqual(codes(all), Array(8).fill(null));
    await eventually(() => codes(all).every((code) => code !== null), 'their end');
    assert.deepEqual(codes(all), [4401, 4401, 4401, 0, 4401, 4401, 4401, 0]);
  });

  test('what such a socket still sends is not carried out, and one that does not answer the close is cut', async () => {
    const edge = edges[0]!;
    const key = await edge.key('one', 'operator');
    const { socket } = await subscription(edge, key);
    // Its client hears nothing, of the close neither.
    socket.pause();
    await edge.metadata.access.revokeKey(parseKey(key)!.id, null);
    const image = (await sharp(picture('coffee')).resize(64).jpeg().toBuffer()).toString('base64');
    const infer = JSON.stringify({ type: 'subscribe', id: 'b', payload: { query: 'mutation ($i: String!) { infer(image: $i) { id } }', variables: { i: image } } });
    const ends = async (): Promise<number> => (await edge.log.endOffsets('frames')).reduce((sum, { offset }) => sum + offset, 0);
    // As long as its key stood it was carried out; from then on nothing of it is.
    const gone = new Promise<void>((resolve) => socket.once('error', () => resolve()).once('close', () => resolve()));
    let taken = -1;
    await eventually(async () => {
      const sockets = edge.server.app.websocketServer.clients;
      const closing = [...sockets].every(({ readyState }) => readyState !== WebSocket.OPEN);
      if (closing && taken < 0) taken = await ends();
      if (closing) for (let i = 0; i < 3; i++) socket.send(infer);
      return closing;
    }, 'the edge to close it');
    await eventually(() => edge.server.app.websocketServer.clients.size === 0, 'the edge to cut it');
    socket.resume();
    await gone;
    assert.equal(await ends(), taken);
  });
});

describe('the vigil', () => {
  const principal = (id: string, over: Partial<Principal> = {}): Principal => ({ id, tenant: 'one', role: 'operator', kind: 'key', ...over });

  /** Its clock goes on when it is told to, a second at a time. */
  function underWatch(standing: (ids: readonly string[]) => Promise<Set<string>>) {
    let now = 1_000_000;
    let wake = (): void => {};
    let asleep = (): void => {};
    const warned: string[] = [];
    const asked: string[][] = [];
    const keeper = keepVigil({
      access: { standing: (ids) => (asked.push([...ids].sort()), standing(ids)) },
      clock: { now: () => now, sleep: (ms, signal) => new Promise((resolve) => { wake = () => ((now += ms), resolve()); signal?.addEventListener('abort', () => resolve()); asleep(); }) },
      log: { warn: (_fields, message) => void warned.push(message) },
    });
    return {
      keeper, warned, asked,
      async seconds(n: number) {
        for (let i = 0; i < n; i++) {
          const looked = new Promise<void>((resolve) => (asleep = resolve));
          wake();
          await looked;
        }
      },
      now: () => now,
    };
  }

  test('one question a second for all keys, none where nobody is watched, and no second word to whoever left', async () => {
    const revoked = new Set<string>();
    const watch = underWatch(async (ids) => new Set(ids.filter((id) => !revoked.has(id))));
    const lapsed: string[] = [];
    await watch.seconds(3);
    assert.deepEqual(watch.asked, []);
    for (const [name, id] of [['a1', 'key:a'], ['a2', 'key:a'], ['b', 'key:b'], ['left', 'key:a']] as const) {
      const leave = watch.keeper.watch(principal(id), (how) => lapsed.push(`${name} ${how}`));
      if (name === 'left') leave();
    }
    watch.keeper.watch(principal('token:x#y', { kind: 'token', expiresAt: watch.now() + 2_500 }), (how) => lapsed.push(`token ${how}`));
    await watch.seconds(2);
    assert.deepEqual([watch.asked, lapsed], [[['a', 'b'], ['a', 'b']], []]);
    revoked.add('a');
    await watch.seconds(1);
    assert.deepEqual(lapsed, ['token over', 'a1 over', 'a2 over']);
    await watch.seconds(2);
    assert.deepEqual([watch.asked.at(-1), lapsed.length], [['b'], 3]);
    await watch.keeper.close();
  });

  test('a database that is away: keys go on for a minute and no longer, said once; tokens go on', async () => {
    let away = false;
    const watch = underWatch(async (ids) => (away ? Promise.reject(new SaccadeError('metadata_unavailable', 'refused')) : new Set(ids)));
    const lapsed: string[] = [];
    const add = (id: string, over: Partial<Principal> = {}) => void watch.keeper.watch(principal(id, over), (how) => lapsed.push(`${id} ${how}`));
    add('key:a');
    add('token:x#y', { kind: 'token', expiresAt: watch.now() + 3_600_000 });
    await watch.seconds(5);
    away = true;
    await watch.seconds(59);
    away = false;
    await watch.seconds(1);
    away = true;
    await watch.seconds(60);
    assert.deepEqual([lapsed, watch.warned.length], [[], 2]);
    await watch.seconds(1);
    assert.deepEqual(lapsed, ['key:a unknown']);
    await watch.keeper.close();
  });
});
