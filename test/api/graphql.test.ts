import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import type { Store } from '../../connectors/ports.ts';
import { prediction } from '../contracts/store.ts';
import { type EdgeUnderTest, picture, problemOf, raw, startEdgeUnderTest } from '../support/edge.ts';
import { embeddedStore } from '../support/embedded-store.ts';
import { eventually } from '../support/pipeline.ts';
import { storePredictions } from '../support/rows.ts';

interface Answer<T> {
  readonly data?: T;
  readonly errors?: readonly { message: string; path?: unknown[]; extensions: { code: string; status: number } }[];
}

describe('/graphql', { timeout: 120_000 }, () => {
  let store: Store;
  let edge: EdgeUnderTest;
  let role: 'viewer' | 'admin' = 'admin';
  embeddedStore('graphql', (opened) => (store = opened));
  before(async () => {
    await storePredictions(store, [...Array.from({ length: 3 }, (_, n) => prediction({ captured_at: 1_700_000_000_000 + n })), prediction({ tenant: 'other', source: 'theirs' })]);
    edge = await startEdgeUnderTest({ store, live: true, access: async () => ({ authenticate: async () => ({ id: 'test', tenant: 'default', role, kind: 'open' }), guard() {}, routes() {} }) });
  });
  after(() => edge.close());

  const post = (body: unknown) => fetch(`${edge.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  async function ask<T>(query: string, variables?: Record<string, unknown>, status = 200): Promise<Answer<T>> {
    const response = await post({ query, variables });
    const body = (await response.json()) as Answer<T>;
    assert.equal(response.status, status, JSON.stringify(body));
    return body;
  }
  const codeOf = ({ errors }: Answer<unknown>): [string | undefined, string] => [errors?.[0]?.extensions.code, errors?.[0]?.message ?? ''];

  test('history, page by page, of this tenant; statistics and models in one question', async () => {
    interface Page { items: { source: string; capturedAt: string; latencyMs: number; answer: { detections: { label: string; box: number[] }[]; timingsMs: { phase: string; ms: number }[] } }[]; next: string | null }
    const query = `query ($cursor: String) {
      predictions(limit: 2, minScore: 0.5, status: ok, cursor: $cursor) { items { source capturedAt latencyMs answer { detections { label box } timingsMs { phase ms } } } next }
      stats(since: "1699999990000", until: "1700000010000") { classes { label count } outcomes { ok } latencyMs { p95 } confidence { from count } uptimeSeconds }
      models { name current versions { version current semanticVersion } }
    }`;
    const first = await ask<{ predictions: Page; stats: { classes: unknown }; models: { name: string }[] }>(query);
    assert.equal(first.errors, undefined, JSON.stringify(first.errors));
    const { items, next } = first.data!.predictions;
    assert.deepEqual(items[0]!.answer.detections.map(({ label }) => label), ['cat', 'person']);
    assert.deepEqual(items[0]!.answer.timingsMs, [{ phase: 'decode', ms: 1.5 }, { phase: 'infer', ms: 10 }]);
    assert.deepEqual(first.data!.stats.classes, [{ label: 'cat', count: 3 }, { label: 'person', count: 3 }]);
    assert.deepEqual(first.data!.models.map(({ name }) => name), ['efficientnet-lite0', 'nanodet']);
    const second = (await ask<{ predictions: Page }>(query, { cursor: next })).data!.predictions;
    assert.deepEqual([items.length, second.items.length, second.next], [2, 1, null]);
    assert.ok([...items, ...second.items].every(({ source }) => source === 'camera'));
  });

  const infer = 'mutation ($image: String!, $model: String) { infer(image: $image, model: $model) { id model predictions { label score } detections { label } image { width } } }';

  test('a picture is answered, and its result is known', async () => {
    const { data } = await ask<{ infer: { id: string; predictions: { label: string }[] } }>(infer, { image: picture('coffee').toString('base64'), model: 'efficientnet-lite0' });
    assert.equal(data!.infer.predictions[0]!.label, 'espresso');
    const result = await ask<{ result: unknown }>('query ($id: ID!) { result(id: $id) { status outcomes { model status answer { model } } } }', { id: data!.infer.id });
    assert.deepEqual(result.data!.result, { status: 'done', outcomes: [{ model: 'efficientnet-lite0', status: 'ok', answer: { model: 'efficientnet-lite0' } }] });
  });

  test('errors carry the codes of HTTP, at their place', async () => {
    assert.deepEqual(codeOf(await ask(infer, { image: 'AAAA' }))[0], 'unsupported_media_type');
    assert.deepEqual(codeOf(await ask(infer, { image: 'not base64!' }))[0], 'bad_request');
    assert.deepEqual(codeOf(await ask(infer, { image: picture('coffee').toString('base64'), model: 'resnet' }))[0], 'unknown_model');
    const [code, message] = codeOf(await ask('{ predictions(since: "yesterday") { next } models { name } }'));
    assert.equal(code, 'bad_request');
    assert.match(message, /since: a time/);
    assert.equal(codeOf(await ask('{ result(id: "aaaaaaaa-aaaa-8aaa-8aaa-aaaaaaaaaaaa") { status } }'))[0], 'not_found');
    role = 'viewer';
    assert.equal(codeOf(await ask(infer, { image: picture('coffee').toString('base64') }))[0], 'forbidden');
    role = 'admin';
  });

  test('what is no question is refused, and what asks for too much is not begun', async () => {
    for (const [query, pattern] of [
      ['{', /Syntax Error/],
      ['{ nothing }', /nothing/],
      ['query a { models { name } } query b { models { name } }', /operationName/],
      ['fragment a on Model { name }', /no operation/],
      [`{ ${Array.from({ length: 6 }, (_, n) => `a${n}: stats { uptimeSeconds }`).join(' ')} }`, /cost above 200/],
      ['{ predictions(limit: 500) { next } b: predictions(limit: 500) { next } c: predictions(limit: 500) { next } d: predictions(limit: 500) { next } }', /cost above 200/],
      ...['$n: Int = 500', '$constructor: Int = 500', '$n: Int'].map((said) => [`query (${said}) { ${'abcd'.split('').map((alias) => `${alias}: predictions(limit: ${said.split(':')[0]}) { next }`).join(' ')} }`, /cost above 200/] as const),
      ['{ a: __schema { types { name } } b: __schema { types { name } } c: __schema { types { name } } d: __schema { types { name } } e: __schema { types { name } } f: __schema { types { name } } }', /cost above 200/],
      [`{ __schema { ${Array.from({ length: 60 }, (_, n) => `a${n}: types { fields { name } }`).join(' ')} } }`, /more of the schema/],
      [`{ __schema { types { fields { ${Array.from({ length: 380 }, (_, n) => `a${n}: name`).join(' ')} } } } }`, /more of the schema/],
      [`{ models { ${Array.from({ length: 500 }, (_, n) => `a${n}: name`).join(' ')} } }`, /400 fields/],
      [`{ ...f0 } ${Array.from({ length: 300 }, (_, n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`).join(' ')}`, /400 fields and fragments/],
      [`{ ...f0 } ${Array.from({ length: 30 }, (_, n) => `fragment f${n} on Query { ... on Query { ...f${n + 1} } ...f${n + 1} }`).join(' ')}`, /400 fields and fragments/],
      [`{ models { name } } fragment unused on Query { ${'models { name } '.repeat(300)} }`, /400 fields and fragments/],
      [`{ ${'a { '.repeat(10)} b ${'} '.repeat(10)} }`, /deeper than 8/],
      [`{ models { name } } # ${'x'.repeat(10)}\n${'fragment f on Model { name } '.repeat(800)}`, /token/i],
      ['{ ...a } fragment a on Query { ...b } fragment b on Query { ...a models { name } }', /fragment/i],
    ] as const) {
      const [code, message] = codeOf(await ask(query, query.startsWith('query ($n: Int)') ? { n: 500 } : {}, 400));
      assert.equal(code, 'bad_request', query.slice(0, 80));
      assert.match(message, pattern, query.slice(0, 80));
    }
    await problemOf(await post({ variables: {} }), 400, 'bad_request');
    await problemOf(await post({ query: 'subscription { predictions(source: "http") { id } }' }), 400, 'bad_request');
    await problemOf(await fetch(`${edge.url}/graphql`), 426, 'upgrade_required');
  });

  test('tools may ask what there is', async () => {
    const { getIntrospectionQuery } = await import('graphql');
    const { data } = await ask<Record<string, { types: { name: string }[] }>>(getIntrospectionQuery());
    assert.ok(data!['__schema']!.types.some(({ name }) => name === 'Seen'));
    const all = getIntrospectionQuery({ descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true, inputValueDeprecation: true, oneOf: true });
    assert.equal((await ask<Record<string, unknown>>(all)).errors, undefined);
  });

  describe('over graphql-transport-ws', () => {
    async function open(protocol = 'graphql-transport-ws') {
      const socket = new WebSocket(`${edge.url.replace('http', 'ws')}/graphql`, protocol);
      const messages: { type: string; id?: string; payload?: unknown }[] = [];
      let woken = (): void => {};
      socket.on('message', (data: Buffer) => {
        messages.push(JSON.parse(data.toString()) as never);
        woken();
      });
      await once(socket, 'open');
      const send = (message: unknown): void => socket.send(typeof message === 'string' ? message : JSON.stringify(message));
      async function next() {
        while (messages.length === 0) await new Promise<void>((resolve) => (woken = resolve));
        return messages.shift()!;
      }
      return { socket, send, next, closed: once(socket, 'close').then(([code]) => code as number) };
    }

    test('a subscription hears of its source as it comes, and of nothing after it is completed', async () => {
      const { socket, send, next, closed } = await open();
      send({ type: 'connection_init' });
      assert.deepEqual(await next(), { type: 'connection_ack' });
      send({ type: 'ping' });
      assert.deepEqual(await next(), { type: 'pong' });
      const query = 'subscription ($source: String!) { predictions(source: $source, model: "efficientnet-lite0") { source status answer { predictions { label } } error { code } } }';
      send({ type: 'subscribe', id: 'a', payload: { query, variables: { source: 'http' } } });
      send({ type: 'subscribe', id: 'b', payload: { query, variables: { source: 'elsewhere' } } });
      send({ type: 'subscribe', id: 'c', payload: { query: '{ models { name } }' } });
      assert.deepEqual([(await next()).type, (await next()).type], ['next', 'complete']);

      const sent = (body: Buffer) => fetch(`${edge.url}/v1/infer?model=efficientnet-lite0`, raw(body));
      await sent(picture('coffee'));
      const { id, type, payload } = await next();
      assert.deepEqual([id, type], ['a', 'next']);
      const seen = (payload as { data: { predictions: { source: string; status: string; answer: { predictions: { label: string }[] } } } }).data.predictions;
      assert.deepEqual([seen.source, seen.status, seen.answer.predictions[0]!.label], ['http', 'ok', 'espresso']);
      await sent(picture('coffee').subarray(0, 5000));
      assert.match(JSON.stringify((await next()).payload), /undecodable_image/);
      send({ type: 'complete', id: 'a' });
      send({ type: 'subscribe', id: 'd', payload: { query: '{ nothing }' } });
      assert.equal((await next()).type, 'error');
      await sent(picture('chelsea'));
      send({ type: 'ping' });
      assert.deepEqual(await next(), { type: 'pong' }, 'nothing of a');
      socket.close();
      await closed;
    });

    test('one that asks and does not read is let go, and what it did not read is not held', async () => {
      const { getIntrospectionQuery } = await import('graphql');
      const { socket, send, next, closed } = await open();
      send({ type: 'connection_init' });
      await next();
      socket.pause();
      const served = [...edge.server.app.websocketServer.clients].find(({ readyState }) => readyState === WebSocket.OPEN);
      let asked = 0;
      await eventually(() => {
        for (let i = 0; i < 20; i++) send({ type: 'subscribe', id: `${asked++}`, payload: { query: getIntrospectionQuery() } });
        return served!.readyState !== WebSocket.OPEN;
      }, 'the edge to end it');
      socket.resume();
      assert.equal(await closed, 4413);
    });

    test('what the protocol forbids ends the socket with its code', async () => {
      const init = { type: 'connection_init' };
      const subscription = { type: 'subscribe', id: 'a', payload: { query: 'subscription { predictions(source: "x") { id } }' } };
      for (const [messages, code] of [[[subscription], 4401], [[init, init], 4429], [[init, 'no json'], 4400], [[init, { type: 'hello' }], 4400], [[init, subscription, subscription], 4409]] as const) {
        const { send, closed } = await open();
        for (const message of messages) send(message);
        assert.equal(await closed, code);
      }
      assert.equal(await (await open('graphql-ws')).closed, 4406);
    });
  });
});

test('without a store its part is refused, and the rest answered', async () => {
  const edge = await startEdgeUnderTest({ stages: [] });
  const response = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: '{ models { name } predictions { next } }' }) });
  const body = (await response.json()) as Answer<unknown>;
  assert.deepEqual([body.errors![0]!.extensions.code, body.errors![0]!.path], ['store_unavailable', ['predictions']]);
  assert.match(body.errors![0]!.message, /CLICKHOUSE_URL/);
  await edge.close();
});
