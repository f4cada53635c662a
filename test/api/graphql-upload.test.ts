/** Pictures as files beside a document, by the GraphQL multipart request specification: what its clients send, and what is no such thing. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type EdgeUnderTest, picture, problemOf, startEdgeUnderTest } from '../support/edge.ts';

type Part = readonly [name: string, value: string | Buffer];
interface Answer {
  readonly data?: Record<string, { readonly id: string; readonly predictions: { label: string }[] } | null> | null;
  readonly errors?: readonly { message: string; extensions: { code: string } }[];
}

const maxImageBytes = 200_000;
const infer = 'mutation ($file: Upload!, $model: String = "efficientnet-lite0") { infer(file: $file, model: $model) { id predictions { label } } }';
const operations = (query: string, variables: object): Part => ['operations', JSON.stringify({ query, variables })];
const map = (places: object): Part => ['map', JSON.stringify(places)];
const file: Part = ['0', picture('coffee')];
const usual: readonly Part[] = [operations(infer, { file: null }), map({ 0: ['variables.file'] }), file];

function form(parts: readonly Part[]): FormData {
  const body = new FormData();
  for (const [name, value] of parts) {
    if (typeof value === 'string') body.append(name, value);
    else body.append(name, new Blob([new Uint8Array(value)], { type: 'image/jpeg' }), 'picture.jpg');
  }
  return body;
}

describe('a picture as a file of a form', { timeout: 60_000 }, () => {
  let edge: EdgeUnderTest;
  let role: 'viewer' | 'operator' = 'operator';
  before(async () => {
    edge = await startEdgeUnderTest({ maxImageBytes, access: async () => ({ authenticate: async () => ({ id: 'test', tenant: 'default', role, kind: 'open' }), guard() {}, routes() {} }) });
  });
  after(() => edge.close());

  const send = (parts: readonly Part[]) => fetch(`${edge.url}/graphql`, { method: 'POST', body: form(parts) });
  async function answer(parts: readonly Part[], status = 200): Promise<Answer> {
    const response = await send(parts);
    const body = (await response.json()) as Answer;
    assert.equal(response.status, status, JSON.stringify(body));
    return body;
  }
  async function refused(parts: readonly Part[], what: RegExp): Promise<void> {
    const { detail } = await problemOf(await send(parts), 400, 'bad_request');
    assert.match(detail ?? '', what);
  }

  test('is answered as it is in base64', async () => {
    const { data } = await answer(usual);
    assert.equal(data!.infer!.predictions[0]!.label, 'espresso');
    const base64 = { query: 'mutation ($image: String!) { infer(image: $image) { id predictions { label } } }', variables: { image: picture('coffee').toString('base64') } };
    const response = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(base64) });
    assert.deepEqual(((await response.json()) as Answer).data!.infer!.predictions, data!.infer!.predictions);
  });

  test('several files, one file in several places, and fields that say that they are JSON', async () => {
    const three = `mutation ($a: Upload!, $b: Upload!, $c: Upload!) { ${['a', 'b', 'c'].map((name) => `${name}: infer(file: $${name}) { id predictions { label } }`).join(' ')} }`;
    const { data } = await answer([operations(three, { a: null, b: null, c: null }), map({ 0: ['variables.a', 'variables.c'], cat: ['variables.b'] }), file, ['cat', picture('chelsea')]]);
    const labels = Object.values(data!).map((one) => one!.predictions[0]!.label);
    assert.deepEqual([labels[0], labels[2]], ['espresso', 'espresso']);
    assert.match(labels[1]!, /cat/i);
    const files = Buffer.from(await new Response(form(usual.slice(2))).arrayBuffer());
    const boundary = /^--(\S+)/.exec(files.toString('latin1'))![1]!;
    const fields = usual.slice(0, 2).map(([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\ncontent-type: application/json\r\n\r\n${value as string}\r\n`).join('');
    const response = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body: new Uint8Array(Buffer.concat([Buffer.from(fields), files])) });
    assert.equal(((await response.json()) as Answer).data!.infer!.predictions[0]!.label, 'espresso');
  });

  test('who may only read is told so', async () => {
    role = 'viewer';
    const { errors } = await answer(usual);
    role = 'operator';
    assert.equal(errors![0]!.extensions.code, 'forbidden');
  });

  test('what a form lacks, or has in another order, is named', async () => {
    const [first, second, third] = usual as [Part, Part, Part];
    await refused([], /no field operations/);
    await refused([first], /no field map/);
    await refused([second, first, third], /in this order/);
    await refused([first, second, second, third], /once each/);
    await refused([first, third], /names no file '0' before/);
    await refused([first, second], /'0', which has not come/);
    await refused([first, second, third, third], /'0', or it has come already/);
    await refused([first, second, third, ['1', picture('chelsea')]], /no file '1'/);
    await refused([first, second, third, ['note', 'hello']], /'note' is not expected/);
    await refused([['operations', '{'], second, third], /operations is not JSON/);
    await refused([first, ['map', '['], third], /map is not JSON/);
    for (const places of [[], { 0: [] }, { 0: 'variables.file' }, { 0: [1] }, { 0: Array(11).fill('variables.file') }]) await refused([first, map(places), third], /map names for each file/);
    await refused([['operations', '[]'], second, third], /one operation/);
    await refused([['operations', '"x"'], second, third], /not a null within/);
  });

  test('a file goes where a null is in the variables, and nowhere else', async () => {
    const [, , third] = usual as [Part, Part, Part];
    const variables = { file: null, text: 'x', list: [null] };
    for (const path of ['variables.text', 'variables.other', 'variables', 'query', 'operationName', 'variables.list.1', 'variables.list.length', 'variables.__proto__.x', 'variables.constructor.prototype.x', '__proto__.x', 'file', ''])
      await refused([operations(infer, variables), map({ 0: [path] }), third], /not a null within/);
    assert.equal(({} as Record<string, unknown>).x, undefined);
    assert.match((await answer([operations('mutation ($file: String!) { infer(image: $file) { id } }', { file: null }), usual[1]!, third])).errors![0]!.message, /String cannot represent/);
  });

  test('JSON has no files, and a picture comes one way', async () => {
    const ask = async (query: string, variables: object): Promise<string> => {
      const response = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) });
      return ((await response.json()) as Answer).errors![0]!.message;
    };
    for (const forged of [picture('coffee').toString('base64'), picture('coffee').subarray(0, 10).toJSON(), {}, 1]) assert.match(await ask(infer, { file: forged }), /file of a form/);
    assert.match(await ask('mutation { infer(file: "x") { id } }', {}), /file of a form/);
    assert.match(await ask('mutation { infer { id } }', {}), /Either image/);
    const both = 'mutation ($file: Upload!) { infer(file: $file, image: "aGk=") { id } }';
    assert.match((await answer([operations(both, { file: null }), usual[1]!, file])).errors![0]!.message, /Either image/);
  });

  test('no more bytes and files than a picture may have, whether a length is said or not', async () => {
    const [first, second] = usual as [Part, Part];
    await problemOf(await send([first, second, ['0', Buffer.alloc(maxImageBytes + 1)]]), 413, 'payload_too_large');
    await problemOf(await send([['operations', ' '.repeat(70_000)], second, file]), 413, 'payload_too_large');
    // Each may, together they may not; the length of a stream is not said.
    const lists = 'mutation ($files: [Upload!]!) { infer(file: $files) { id } }';
    const many = form([operations(lists, { files: [null, null] }), map({ a: ['variables.files.0'], b: ['variables.files.1'] }), ['a', Buffer.alloc(190_000)], ['b', Buffer.alloc(190_000)]]);
    await problemOf(await fetch(`${edge.url}/graphql`, { method: 'POST', body: many }), 413, 'payload_too_large');
    const streamed = new Response(many);
    const headers = { 'content-type': streamed.headers.get('content-type')! };
    await problemOf(await fetch(`${edge.url}/graphql`, { method: 'POST', headers, body: streamed.body, duplex: 'half' } as RequestInit), 413, 'payload_too_large');
    const names = Array.from({ length: 11 }, (_, n) => `${n}`);
    const eleven = [operations(lists, { files: names.map(() => null) }), map(Object.fromEntries(names.map((name) => [name, [`variables.files.${name}`]]))), ...names.map((name): Part => [name, Buffer.from('x')])];
    await refused(eleven, /more files/);
    assert.equal((await answer(usual)).errors, undefined, 'and goes on');
  });

  test('a form that breaks off, and one that is none', async () => {
    const whole = Buffer.from(await new Response(form(usual)).arrayBuffer());
    const headers = { 'content-type': `multipart/form-data; boundary=${/^--(\S+)/.exec(whole.toString('latin1'))![1]}` };
    const broken = (body: Buffer, more = headers) => fetch(`${edge.url}/graphql`, { method: 'POST', headers: more, body: new Uint8Array(body) });
    await problemOf(await broken(whole.subarray(0, whole.length - 1_000)), 400, 'bad_request');
    await problemOf(await broken(whole.subarray(0, 40)), 400, 'bad_request');
    await problemOf(await broken(whole, { 'content-type': 'multipart/form-data' }), 400, 'bad_request');
    await problemOf(await broken(whole, { 'content-type': 'multipart/mixed; boundary=x' }), 415, 'unsupported_media_type');
    assert.equal((await answer(usual)).errors, undefined, 'and goes on');
  });
});
