/** Keys that are limited to models or sources: every route as such a key, with something there that it must not have. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import type { Role } from '../schemas/roles.ts';
import { accessMatrix, type Matrix, nameOf } from './support/access-matrix.ts';
import { bearer } from './support/closed-edge.ts';
import { raw } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { requests } from './support/route-requests.ts';
import { streamClient } from './support/stream-client.ts';

/** Where a key that is limited gets in, whatever it is limited to: each is asked about below. */
const forLimited = new Set(['GET /v1/models', 'GET /v2', 'POST /graphql', 'GET /graphql', 'GET /v1/stream', 'POST /v1/tickets']);

describe('a key that is limited to models or sources', { timeout: 280_000 }, () => {
  let edge: Matrix['edge'];
  let doorUrl: Matrix['doorUrl'];
  let routes: Matrix['routes'];
  let own: Matrix['own'];
  let call: Matrix['call'];
  let marks: Matrix['marks'];
  accessMatrix('limited', (made) => void ({ edge, doorUrl, routes, own, call, marks } = made));

  type Limits = { readonly models?: readonly string[]; readonly sources?: readonly string[] };
  const limited = async (limits: Limits, role: Role = 'trainer') => bearer(await edge.key('a', role, limits));
  const status = async (path: string, headers: Record<string, string>, init: RequestInit = {}) => {
    const response = await fetch(`${edge.url}${path}`, { ...init, headers: { ...(init.headers as Record<string, string>), ...headers } });
    return [response.status, await response.text()] as const;
  };
  const query = async (headers: Record<string, string>, text: string, variables: object = {}) => {
    const response = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify({ query: text, variables }) });
    const { data, errors = [] } = (await response.json()) as { data?: Record<string, unknown>; errors?: { path: string[]; extensions: { code: string } }[] };
    return { data, errors: errors.map(({ path, extensions }) => `${path?.[0]} ${extensions.code}`).sort() };
  };

  test('to others: no route tells it anything, and none takes anything', async () => {
    const [models, sources] = [await limited({ models: ['another'] }), await limited({ sources: ['another', 'more-*'] })];
    for (const route of routes) {
      if (route.needs === 'anyone' || route.needs === 'admin') continue;
      const name = nameOf(route);
      assert.equal(route.scope === 'itself', forLimited.has(name), `${name} sees to it by itself: is it asked about here?`);
      for (const [kind, headers] of Object.entries({ models, sources })) {
        const { status: answered, text } = await call(route, headers, own.a);
        const what = `${route.method} ${route.url} by ${kind}: ${answered} ${text.slice(0, 300)}`;
        assert.deepEqual(marks(text), [], what);
        if (route.scope === 'itself') continue;
        // About a model no source is told; a key for one model is answered about that one, of which there is nothing.
        if ((route.scope === 'model' && kind === 'sources') || (route.scope === 'history' && kind === 'models')) assert.equal(answered, 200, what);
        else if (route.scope === 'result' && kind === 'models') assert.equal(answered, 404, what);
        else assert.equal(answered, 403, what);
      }
    }
    assert.deepEqual(JSON.parse((await status('/v1/models', models))[1]), { models: [] });
    const { data, errors } = await query(models, `{ predictions { items { source } } models { name } }`);
    assert.deepEqual([data?.models, errors], [[], []]);
    const questions = { predictions: 'predictions { next }', stats: 'stats { models { model } }', drift: 'drift { alerts { source } }', result: `result(id: "${own.a.frame}") { status }` };
    for (const [field, question] of Object.entries(questions)) assert.deepEqual((await query(sources, `{ ${question} }`)).errors, [`${field} forbidden`]);
    for (const headers of [models, sources]) {
      const { ticket } = JSON.parse((await status('/v1/tickets', headers, { method: 'POST' }))[1]) as { ticket: string };
      assert.equal((await fetch(`${edge.url}/v1/predictions?ticket=${ticket}&source=${own.a.mark}&model=${own.a.mark}`)).status, 403, 'a ticket is no more than its key');
      const answer = await fetch(`${doorUrl}/?query=SELECT+1`, { headers: { 'x-clickhouse-key': headers.authorization.slice('Bearer '.length) } });
      assert.equal(answer.status, 403, 'the SQL port');
    }
  });

  test('reads what it is for, which it need not name where it is one, and must where it is several', async () => {
    const { mark, frame } = own.a;
    const [model, source, several] = [await limited({ models: [mark] }, 'viewer'), await limited({ sources: [mark] }, 'viewer'), await limited({ sources: ['mark-*', 'gate'] }, 'viewer')];
    for (const path of ['predictions', 'stats', 'drift']) {
      for (const headers of [model, source]) {
        const [answered, text] = await status(`/v1/${path}`, headers);
        assert.deepEqual([answered, marks(text)], [200, ['a']], path);
      }
      assert.equal((await status(`/v1/${path}`, several))[0], 403, path);
      assert.deepEqual((await status(`/v1/${path}?source=${mark}`, several).then(([answered, text]) => [answered, marks(text)])), [200, ['a']], path);
      for (const [headers, filter] of [[model, 'model=nanodet'], [source, 'source=http'], [several, 'source=http'], [several, `source=${mark}&source=http`]] as const) {
        const [answered] = await status(`/v1/${path}?${filter}`, headers);
        assert.ok(answered === 403 || answered === 400, `${path} ${filter}: ${answered}`);
      }
    }
    assert.deepEqual([(await status(`/v1/results/${frame}`, model))[0], (await status(`/v1/results/${frame}`, source))[0]], [200, 403]);
    assert.deepEqual((await query(several, `query ($s: String!) { predictions(source: $s) { items { source } } other: predictions(source: "http") { next } }`, { s: mark })).errors, ['other forbidden']);
  });

  test('asks the models it is for, the first of them where it names none, by every door', async () => {
    const headers = await limited({ models: ['nanodet'], sources: ['http'] }, 'operator');
    const none = await limited({ sources: ['gate-*'] }, 'operator');
    const post = (path: string, by: Record<string, string>) => status(path, by, raw(own.a.picture));
    const many = (path: string, by: Record<string, string>) => status(path, by, { method: 'POST', body: requests['POST /v1/batch_infer']!.body!(own.a) as FormData });
    const tensor = (name: string, by: Record<string, string>) => status(`/v2/models/${name}/infer`, by, { method: 'POST', headers: { 'content-type': 'application/json' }, body: requests['POST /v2/models/:model/infer']!.body!(own.a) as string });
    assert.match((await post('/v1/infer', headers))[1], /"model":"nanodet"/);
    assert.match((await many('/v1/batch_infer', headers))[1], /"model":"nanodet"/);
    assert.equal((await tensor('nanodet', headers))[0], 200);
    const refused = [await post('/v1/infer?model=efficientnet-lite0', headers), await many('/v1/batch_infer?model=efficientnet-lite0', headers), await tensor('efficientnet-lite0', headers), await post('/v1/infer', none), await many('/v1/batch_infer', none), await tensor('nanodet', none)];
    for (const [answered, text] of refused) assert.ok(answered === 403 && text.includes('limited to'), text);
    const infer = 'mutation ($i: String!, $m: String) { infer(image: $i, model: $m) { model } }';
    const i = own.a.picture.toString('base64');
    assert.deepEqual((await query(headers, infer, { i })).data, { infer: { model: 'nanodet' } });
    assert.deepEqual([(await query(headers, infer, { i, m: 'efficientnet-lite0' })).errors, (await query(none, infer, { i })).errors], [['infer forbidden'], ['infer forbidden']]);
  });

  test('streams from its sources, and subscribes to them', async () => {
    const headers = await limited({ models: ['nanodet'], sources: ['gate-*'] }, 'operator');
    const client = await streamClient(edge.url, { source: 'gate-1', policy: 'wait' }, headers);
    await client.paced(0, own.a.picture);
    await eventually(() => client.outcomes().length === 1, 'its outcome');
    assert.equal(client.outcomes()[0]!.model, 'nanodet');
    await client.close();
    for (const wish of [{ source: 'door' }, { source: 'gate-1', model: 'efficientnet-lite0' }]) {
      await assert.rejects(streamClient(edge.url, wish, headers), /403/);
      const late = await streamClient(edge.url, null, headers);
      late.say({ type: 'open', ...wish });
      await eventually(() => late.closed() !== null, 'its refusal');
      assert.match(late.closed()!.reason, /limited to/);
    }
    const socket = new WebSocket(`${edge.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers });
    await once(socket, 'open');
    const heard: string[] = [];
    socket.on('message', (data: Buffer) => heard.push(data.toString()));
    socket.send(JSON.stringify({ type: 'connection_init' }));
    socket.send(JSON.stringify({ type: 'subscribe', id: 's', payload: { query: 'subscription { predictions(source: "door") { frameId } }' } }));
    await eventually(() => heard.some((text) => text.includes('forbidden')), 'its refusal');
    socket.terminate();
  });
  });
