/** Operations of GraphQL as the limits and the audit trail see them: under what name, and for how long they take a place. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { parse } from 'graphql';
import { WebSocket } from 'ws';
import { SaccadeError } from '../../connectors/errors.ts';
import { keptDocuments } from '../../processors/edge/graphql/documents.ts';
import { graphqlEngine } from '../../processors/edge/graphql/engine.ts';
import { type Deed, type Ledger, noLedger } from '../../processors/edge/ledger.ts';
import { openMode } from '../../processors/edge/principal.ts';
import { picture, startEdgeUnderTest } from '../support/edge.ts';
import { eventually } from '../support/pipeline.ts';

test('fragments at the root hide nothing of what was asked', async () => {
  const { run } = graphqlEngine({ query: { models: () => [] }, mutation: {}, subscription: {} });
  const principal = await openMode('default')({} as never);
  const about = async (query: string): Promise<string> => (await run({ query }, { principal, traceparent: undefined })).about;
  assert.equal(await about('{ models { name } ... on Query { stats { source } ...a } } fragment a on Query { ...b } fragment b on Query { result(id: "x") { id } }'), 'query models, stats, result');
  assert.equal(await about('mutation { ...a } fragment a on Mutation { infer(image: "") { id } ...a ...gone }'), 'mutation infer, ...a, ...gone');
});

test('of documents so many bytes are kept: no long ones, and those that were asked for last', () => {
  const documents = keptDocuments();
  const keep = (text: string): void => documents.keep(text, parse(text));
  const numbered = (n: number): string => `{ a${n}: models { name } } # ${'x'.repeat(1_000)}`;
  keep(`{ models { name } } # ${'x'.repeat(1_000_000)}`);
  assert.equal(documents.held, 0);
  for (let n = 0; n < 1_000; n++) {
    keep(numbered(n));
    assert.ok(documents.get(numbered(0)), 'it is asked for all the time');
    assert.ok(documents.held <= 64 * 1024, `${documents.held}`);
  }
  keep(numbered(999));
  assert.ok(documents.get(numbered(999)));
  assert.equal(documents.get(numbered(500)), undefined);
  const kept = Array.from({ length: 1_000 }, (_, n) => numbered(n)).filter((text) => documents.get(text));
  assert.equal(documents.held, kept.join('').length);
});

describe('over the socket', { timeout: 60_000 }, () => {
  const image = picture('chelsea').toString('base64');
  const infer = { query: 'mutation ($image: String!) { infer(image: $image) { id } }', variables: { image } };
  const models = { query: '{ models { name } }' };

  async function operations(count: Ledger['count'] = noLedger.count) {
    const deeds: Deed[] = [];
    const ledger: Ledger = { ...noLedger, count, record: (_principal, deed) => void deeds.push(deed) };
    const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 3_000, access: async () => ({ authenticate: openMode('default'), guard() {}, routes() {}, ledger }) });
    const socket = new WebSocket(`${edge.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const told: string[] = [];
    socket.on('message', (data: Buffer) => {
      const { type, id, payload } = JSON.parse(data.toString()) as { type: string; id?: string; payload?: { extensions?: { code: string } }[] };
      told.push([type, id, payload?.[0]?.extensions?.code].filter((part) => part !== undefined).join(' '));
    });
    await once(socket, 'open');
    const send = (type: string, id?: string, payload?: object): void => socket.send(JSON.stringify({ type, id, payload }));
    send('connection_init');
    return {
      edge, deeds, told, send,
      heard: (line: string) => eventually(() => told.includes(line), line),
      async close() {
        socket.terminate();
        await edge.close();
      },
    };
  }

  test('one that was completed keeps its place until it is over, and what it answers then is not taken for that of another of its id', async () => {
    const { edge, told, heard, send, deeds, close } = await operations();
    for (let n = 0; n < 20; n++) send('subscribe', `${n}`, infer);
    await eventually(() => edge.edge.waiting === 20, 'all to be in the pipeline');
    for (let n = 0; n < 20; n++) send('complete', `${n}`);
    send('subscribe', 'more', models);
    await heard('error more overloaded');
    await eventually(() => deeds.length === 20, 'their end');
    // One answer is late, and by then its id is that of another.
    send('subscribe', '0', infer);
    await eventually(() => edge.edge.waiting === 1, 'it is in the pipeline');
    send('complete', '0');
    send('subscribe', '0', { query: 'subscription { predictions(source: "none") { id } }' });
    await eventually(() => deeds.length === 22, 'both to be on record');
    send('subscribe', 'last', models);
    await heard('complete last');
    assert.deepEqual(told, ['connection_ack', 'error more overloaded', 'next last', 'complete last']);
    await close();
  });

  test('one that is completed before it begins is not carried out, and one that is refused is on record', async () => {
    let [asked, open] = [0, (_error?: unknown): void => {}];
    const { deeds, heard, send, close } = await operations(async () => {
      const number = ++asked;
      if (number === 1) await new Promise<unknown>((resolve) => (open = resolve));
      if (number === 2) throw new SaccadeError('rate_limited');
    });
    send('subscribe', 'a', models);
    await eventually(() => asked === 1, 'it is being counted');
    send('complete', 'a');
    send('subscribe', 'b', models);
    await heard('error b rate_limited');
    open();
    send('subscribe', 'c', models);
    await heard('complete c');
    assert.deepEqual(deeds.map(({ target, status }) => `${target} ${status}`), [' 429', 'query models 200']);
    await close();
  });
});
