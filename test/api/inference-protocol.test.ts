/** The Open Inference Protocol as its specification words it; the client from PyPI is in inference-protocol-client.test.ts. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { ableModel } from '../../processors/assembly/able-models.ts';
import type { InferResponse } from '../../schemas/api/inference-protocol.ts';
import { type EdgeUnderTest, picture, startEdgeUnderTest } from '../support/edge.ts';

test('a model is unable by its own trouble, or by one of what every model needs', () => {
  assert.equal(ableModel('a', {}), true);
  assert.deepEqual([true, false, null].map((answers) => ableModel('a', {}, answers)), [true, false, true], 'where the engine is here, it must have it');
  assert.equal(ableModel('a', { 'infer.b': 'halted', sink: 'the store is away', edge: 'it is stopping' }), true);
  for (const stage of ['infer.a', 'preprocess', 'engine', 'pipeline']) assert.equal(ableModel('a', { [stage]: 'halted' }), false, stage);
});

describe('/v2', () => {
  let edge: EdgeUnderTest;
  const unable = new Set<string>();
  before(async () => {
    edge = await startEdgeUnderTest({ maxBatchBytes: 5_000_000, able: (model) => !unable.has(model) });
  });
  after(() => edge.close());

  const get = async (path: string): Promise<[number, unknown]> => {
    const response = await fetch(edge.url + path);
    return [response.status, await response.json()];
  };
  const infer = (model: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => fetch(`${edge.url}/v2/models/${model}/infer`, { method: 'POST', body, headers });
  const json = (model: string, request: unknown) => infer(model, JSON.stringify(request), { 'content-type': 'application/json' });
  const base64 = (name: string): string => picture(name).toString('base64');
  const bytes = (...data: readonly unknown[]) => ({ name: 'image', datatype: 'BYTES', shape: [data.length], data });
  const output = ({ outputs }: InferResponse, name: string) => outputs.find((one) => one.name === name)!;
  const answered = async (response: Response): Promise<InferResponse> => {
    const body = (await response.json()) as InferResponse;
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  };
  async function refused(response: Response, status: number, pattern: RegExp): Promise<void> {
    const body = (await response.json()) as { error: string };
    assert.equal(response.status, status, JSON.stringify(body));
    assert.match(body.error, pattern);
    assert.deepEqual(Object.keys(body), ['error']);
  }
  /** JSON, and the elements of a BYTES tensor behind it. */
  function binary(request: object, ...elements: readonly Buffer[]): { body: Uint8Array<ArrayBuffer>; headers: Record<string, string> } {
    const tail = Buffer.concat(elements.flatMap((element) => [Buffer.from(new Uint32Array([element.length]).buffer), element]));
    const head = Buffer.from(JSON.stringify({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [elements.length, 1], parameters: { binary_data_size: tail.length } }], ...request }));
    return { body: new Uint8Array(Buffer.concat([head, tail])), headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': `${head.length}` } };
  }

  test('health and metadata', async () => {
    assert.deepEqual(await get('/v2/health/live'), [200, { live: true }]);
    assert.deepEqual(await get('/v2/health/ready'), [200, { ready: true }]);
    assert.equal((await get('/v2'))[0], 200);
    const [status, nanodet] = await get('/v2/models/nanodet/versions/1');
    assert.equal(status, 200);
    assert.deepEqual((nanodet as { outputs: { name: string }[] }).outputs.map(({ name }) => name), ['boxes', 'labels', 'scores', 'class_ids', 'counts']);
    assert.deepEqual(await get('/v2/models/nanodet/ready'), [200, { name: 'nanodet', ready: true }]);
    await refused(await fetch(`${edge.url}/v2/models/resnet`), 404, /resnet/);
    await refused(await fetch(`${edge.url}/v2/models/nanodet/versions/7/ready`), 404, /7.*1 is/);
  });

  test('a model whose stages do not work is not ready, and the others are', async () => {
    unable.add('nanodet');
    assert.deepEqual(await get('/v2/models/nanodet/ready'), [503, { name: 'nanodet', ready: false }]);
    assert.deepEqual(await get('/v2/models/nanodet/versions/1/ready'), [503, { name: 'nanodet', ready: false }]);
    assert.deepEqual(await get('/v2/models/efficientnet-lite0/ready'), [200, { name: 'efficientnet-lite0', ready: true }]);
    assert.deepEqual(await get('/v2/health/ready'), [200, { ready: true }]);
    unable.clear();
  });

  test('what of the protocol is not served is refused in its words', async () => {
    const send = (method: string, path: string, body?: string) => fetch(`${edge.url}${path}`, { method, ...(body === undefined ? {} : { body, headers: { 'content-type': 'text/x-odd' } }) });
    for (const [method, path, body] of [
      ['GET', '/v2/models/nanodet/config'],
      ['GET', '/v2/models/nanodet/versions/1/stats'],
      ['POST', '/v2/repository/index', '{}'],
      ['POST', '/v2/systemsharedmemory/region/mine/register', '{}'],
      ['GET', '/v2/cudasharedmemory/status'],
      ['POST', '/v2/nothing', ' '.repeat(6_000_000)],
    ] as const) {
      await refused(await send(method, path, body), 404, new RegExp(`nothing at this address. ${method} ${path}`));
    }
    await refused(await send('GET', '/v2/models/stats'), 404, /No model 'stats'/);
    const wrong = await send('GET', '/v2/models/nanodet/infer');
    assert.equal(wrong.headers.get('allow'), 'POST');
    await refused(wrong, 405, /it takes POST/);
    assert.match((await send('GET', '/v2nd')).headers.get('content-type')!, /problem\+json/, 'elsewhere as before');
  });

  test('parameters of Triton are heeded, or refused by name', async () => {
    const inputs = [bytes(base64('coffee'))];
    const asking = (parameters: object) => json('efficientnet-lite0', { inputs, parameters });
    for (const parameters of [{ timeout: 60_000_000 }, { timeout: 0, priority: 3 }, { sequence_id: 0, sequence_start: false, sequence_end: false }, { mine: 'x' }]) await answered(await asking(parameters));
    // A picture of its own: the answer to one that is in flight could be there in time.
    const fresh = await sharp(picture('coffee')).resize(500).jpeg().toBuffer();
    await refused(await json('efficientnet-lite0', { inputs: [bytes(fresh.toString('base64'))], parameters: { timeout: 1 } }), 504, /deadline/);
    for (const [parameters, pattern] of [
      [{ timeout: -1 }, /parameters\.timeout/],
      [{ timeout: '1s' }, /parameters\.timeout/],
      [{ timeout: 0.5 }, /parameters\.timeout/],
      [{ sequence_id: 7, sequence_start: false, sequence_end: false }, /parameters\.sequence_id/],
      [{ sequence_id: 'seven' }, /parameters\.sequence_id/],
      [{ sequence_id: 7, sequence_start: true }, /parameters\.sequence_start/],
      [{ sequence_end: true }, /parameters\.sequence_end/],
    ] as const) {
      await refused(await asking(parameters), 400, pattern);
    }
    const shared = { shared_memory_region: 'mine', shared_memory_byte_size: 100 };
    await refused(await json('nanodet', { inputs: [{ ...inputs[0], data: undefined, parameters: shared }] }), 400, /inputs\.image\.parameters\.shared_memory_region/);
    await refused(await json('nanodet', { inputs, outputs: [{ name: 'labels', parameters: shared }] }), 400, /outputs\.labels\.parameters\.shared_memory_region/);
  });

  test('JSON: what is in two pictures', async () => {
    const body = await answered(await json('efficientnet-lite0', { id: 'mine', inputs: [bytes(base64('coffee'), base64('chelsea'))] }));
    assert.deepEqual([body.id, body.model_name, body.model_version], ['mine', 'efficientnet-lite0', '2']);
    const labels = output(body, 'labels');
    assert.deepEqual([labels.shape, labels.datatype], [[2, 5], 'BYTES']);
    assert.equal(labels.data![0], 'espresso');
    assert.match(`${labels.data![5]}`, /cat/i);
    assert.ok((output(body, 'scores').data![0] as number) > 0.8);
  });

  test('boxes: rows as wide as the longest, the rest filled up', async () => {
    const blank = (await sharp({ create: { width: 64, height: 64, channels: 3, background: 'white' } }).png().toBuffer()).toString('base64');
    const body = await answered(await json('nanodet', { inputs: [bytes(base64('astronaut'), blank)], outputs: [{ name: 'counts' }, { name: 'labels' }, { name: 'boxes' }] }));
    const [person, none] = output(body, 'counts').data as number[];
    assert.ok(person! > 0 && none === 0, JSON.stringify(output(body, 'counts')));
    assert.deepEqual(output(body, 'boxes').shape, [2, person, 4]);
    assert.ok(output(body, 'labels').data!.includes('person'));
    assert.deepEqual(output(body, 'labels').data!.slice(person), Array(person).fill(''));
    assert.deepEqual(body.outputs.map(({ name }) => name), ['counts', 'labels', 'boxes']);
  });

  test('binary in and out', async () => {
    const { body, headers } = binary({ parameters: { binary_data_output: true } }, picture('coffee'));
    const response = await infer('efficientnet-lite0', body, headers);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type')!, /octet-stream/);
    const whole = Buffer.from(await response.arrayBuffer());
    const length = Number(response.headers.get('inference-header-content-length'));
    const answer = JSON.parse(whole.subarray(0, length).toString()) as InferResponse;
    const sizes = answer.outputs.map(({ parameters }) => Number(parameters!.binary_data_size));
    assert.equal(length + sizes.reduce((sum, size) => sum + size, 0), whole.length);
    assert.deepEqual(answer.outputs.map(({ name }) => name), ['labels', 'scores', 'class_ids']);
    assert.equal(whole.toString('utf8', length + 4, length + 4 + whole.readUInt32LE(length)), 'espresso');
    assert.ok(whole.readFloatLE(length + sizes[0]!) > 0.8);
  });

  test('a body that is gzip', async () => {
    const packed = gzipSync(JSON.stringify({ inputs: [bytes(base64('coffee'))] }));
    await answered(await infer('nanodet', new Uint8Array(packed), { 'content-encoding': 'gzip' }));
    await refused(await infer('nanodet', new Uint8Array(packed), { 'content-encoding': 'br' }), 415, /br is not read/);
    await refused(await infer('nanodet', 'x', { 'content-encoding': 'gzip' }), 400, /not gzip/);
    await refused(await infer('nanodet', new Uint8Array(gzipSync(Buffer.alloc(6_000_000))), { 'content-encoding': 'gzip' }), 413, /larger/);
  });

  test('pixels are answered as the same picture in a PNG', async () => {
    const png = await sharp(picture('coffee')).resize(224, 224).removeAlpha().png().toBuffer();
    const pixels = await sharp(png).raw().toBuffer();
    const head = Buffer.from(JSON.stringify({ inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 224, 224, 3], parameters: { binary_data_size: pixels.length } }] }));
    const asPixels = await answered(await infer('efficientnet-lite0', new Uint8Array(Buffer.concat([head, pixels])), { 'inference-header-content-length': `${head.length}` }));
    const asPng = await answered(await json('efficientnet-lite0', { inputs: [bytes(png.toString('base64'))] }));
    assert.deepEqual(asPixels.outputs, asPng.outputs);
  });

  test('what is wrong is said by name', async () => {
    const good = bytes(base64('coffee'));
    for (const [request, status, pattern] of [
      [{ inputs: [] }, 400, /inputs/],
      [{}, 400, /inputs/],
      [{ inputs: [{ ...good, name: 'picture' }] }, 400, /image/],
      [{ inputs: [good, good] }, 400, /one input/],
      [{ inputs: [{ ...good, datatype: 'FP32' }] }, 400, /FP32/],
      [{ inputs: [{ ...good, shape: [2] }] }, 400, /shape/],
      [{ inputs: [{ ...good, shape: [1, 2] }] }, 400, /shape/],
      [{ inputs: [{ ...good, shape: [129], data: Array(129).fill('AAAA') }] }, 400, /128/],
      [{ inputs: [{ ...good, shape: [] }] }, 400, /shape/],
      [{ inputs: [{ ...good, data: ['not base64!'] }] }, 400, /element 0 is not base64/],
      [{ inputs: [{ ...good, data: undefined }] }, 400, /neither/],
      [{ inputs: [{ ...good, parameters: { binary_data_size: 4 } }] }, 400, /both/],
      [{ inputs: [{ ...good, data: undefined, parameters: { binary_data_size: 4 } }] }, 400, /not there/],
      [{ inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 1, 1, 3], data: [1, 2, 300] }] }, 400, /0 to 255/],
      [{ inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 9, 9, 3], data: [1, 2, 3] }] }, 400, /do not fill/],
      [{ inputs: [good], outputs: [{ name: 'logits' }] }, 400, /logits.*labels/],
      [{ inputs: [bytes(base64('coffee'), 'AAAAAAAAAAAA')] }, 415, /element 1/],
      [{ inputs: [bytes(picture('coffee').subarray(0, 5000).toString('base64'))] }, 422, /element 0/],
    ] as const) {
      await refused(await json('nanodet', request), status, pattern);
    }
    await refused(await infer('nanodet', 'no json'), 400, /not JSON/);
    await refused(await infer('nanodet', '{}', { 'inference-header-content-length': '99' }), 400, /no length/);
    await refused(await infer('nanodet', '{}', { 'inference-header-content-length': '-1' }), 400, /no length/);
    await refused(await infer('nanodet', ''), 400, /no body|not JSON/);
    await refused(await infer('resnet', '{}'), 404, /resnet/);
    await refused(await infer('nanodet', new Uint8Array(5_000_001)), 413, /larger/);
    const torn = binary({}, picture('coffee'));
    torn.body[torn.body.length - picture('coffee').length - 1] = 0xff;
    await refused(await infer('nanodet', torn.body, torn.headers), 400, /torn/);
  });
});
