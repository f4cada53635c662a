import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import type { Prediction } from '../schemas/records.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { type EdgeUnderTest, picture, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually, readAll } from './support/pipeline.ts';

function form(image: Buffer, field = 'image'): FormData {
  const data = new FormData();
  data.set(field, new Blob([new Uint8Array(image)], { type: 'image/jpeg' }), '../../etc/passwd.jpg');
  return data;
}

async function outcomes(edge: EdgeUnderTest): Promise<Prediction[]> {
  const registry = fileRegistry();
  return Promise.all((await readAll(edge.log, 'predictions')).map(async (r) => (await registry.decode('predictions', r.value!)) as Prediction));
}

describe('POST /v1/infer', () => {
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest();
  });
  after(() => edge.close());
  const post = (query: string, init: RequestInit) => fetch(`${edge.url}/v1/infer${query}`, init);

  test('coffee is espresso', async () => {
    const response = await post('?model=efficientnet-lite0', { method: 'POST', body: form(picture('coffee')) });
    const body = (await response.json()) as { id: string; model: string; version: string; predictions: { label: string; score: number }[]; timings_ms: Record<string, number> };
    assert.equal(response.status, 200, JSON.stringify(body));
    assert.equal(body.model, 'efficientnet-lite0');
    assert.equal(body.predictions[0]!.label, 'espresso');
    assert.ok(body.predictions[0]!.score > 0.8);
    assert.equal(body.predictions.length, 5);
    for (const phase of ['decode', 'infer', 'produce', 'total']) assert.ok(body.timings_ms[phase]! >= 0, phase);
    assert.match(body.id, /^[0-9a-f-]{36}$/);
    assert.match(response.headers.get('traceparent') ?? '', /^00-/);
  });

  test('the astronaut is a person, in pixels of the original', async () => {
    const response = await post('?model=nanodet', raw(picture('astronaut')));
    const body = (await response.json()) as { detections: { label: string; score: number; box: [number, number, number, number] }[]; image: { width: number; height: number } };
    const { width, height } = body.image;
    const person = body.detections.find(({ label }) => label === 'person');
    assert.ok(person, JSON.stringify(body));
    const [x1, y1, x2, y2] = person.box;
    for (const [got, want, size] of [[x1, 0.03, width], [y1, 0.03, height], [x2, 0.71, width], [y2, 0.99, height]] as const) {
      assert.ok(Math.abs(got / size - want) < 0.06, `${person.box} of ${width} x ${height}`);
    }
  });

  test('a picture turned by EXIF is answered in upright pixels', async () => {
    const turned = await sharp(picture('astronaut')).rotate(90).withMetadata({ orientation: 8 }).jpeg().toBuffer();
    const upright = await sharp(picture('astronaut')).metadata();
    const body = (await (await post('?model=nanodet', raw(turned))).json()) as { image: { width: number; height: number } };
    assert.deepEqual(body.image, { width: upright.width, height: upright.height });
  });

  test('a repeat under one Idempotency-Key is the same frame', async () => {
    const ids = [];
    for (const key of ['order-7', 'order-7', 'order-8']) {
      const response = await post('', raw(picture('chelsea'), { 'idempotency-key': key }));
      ids.push(((await response.json()) as { id: string }).id);
    }
    assert.equal(ids[0], ids[1]);
    assert.notEqual(ids[0], ids[2]);
  });

  test('a large picture travels as a claim check and is answered all the same', async () => {
    const noise = await sharp({ create: { width: 1000, height: 700, channels: 3, background: 'red', noise: { type: 'gaussian', mean: 128, sigma: 60 } } }).png().toBuffer();
    assert.ok(noise.length > 1_000_000);
    assert.equal((await post('', raw(noise, { 'content-type': 'image/png' }))).status, 200);
  });

  test("the caller's trace goes on", async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const response = await post('', raw(picture('chelsea'), { traceparent }));
    assert.equal(response.headers.get('traceparent'), traceparent);
  });

  describe('refuses', () => {
    test('what is not an image: 415', async () => {
      const body = await problemOf(await post('', raw(Buffer.alloc(1000, 7))), 415, 'unsupported_media_type');
      assert.match(body.detail!, /0707/);
    });
    test('a content type that carries no image: 415', async () => {
      await problemOf(await post('', { method: 'POST', body: '{"image": 1}', headers: { 'content-type': 'text/plain' } }), 415, 'unsupported_media_type');
    });
    test('a torn image: 422, and its outcome is recorded', async () => {
      const response = await post('?model=nanodet', raw(picture('coffee').subarray(0, 5000), { 'idempotency-key': 'torn' }));
      await problemOf(response, 422, 'undecodable_image');
      await eventually(async () => (await outcomes(edge)).some((o) => o.status === 'dead_lettered' && o.reason === 'undecodable_image' && o.model === 'nanodet'), 'the dead letter in predictions');
      assert.ok((await readAll(edge.log, 'frames.dlq')).length >= 1);
    });
    test('too many bytes: 413, multipart or raw', async () => {
      const big = Buffer.concat([picture('coffee'), Buffer.alloc(4_100_000)]);
      await problemOf(await post('', { method: 'POST', body: form(big) }), 413, 'payload_too_large');
      await problemOf(await post('', raw(big)), 413, 'payload_too_large');
    });
    test('too many pixels: 413', async () => {
      const wide = await sharp({ create: { width: 4000, height: 3000, channels: 3, background: 'blue' } }).png().toBuffer();
      await problemOf(await post('', raw(wide, { 'content-type': 'image/png' })), 413, 'too_many_pixels');
    });
    test('an unknown model: 422 naming what is served', async () => {
      const body = await problemOf(await post('?model=resnet', raw(picture('coffee'))), 422, 'unknown_model');
      assert.match(body.detail!, /resnet.*efficientnet-lite0, nanodet/);
    });
    test('two models, no image field, an empty body, a torn form: 4xx', async () => {
      await problemOf(await post('?model=nanodet&model=x', raw(picture('coffee'))), 400, 'bad_request');
      await problemOf(await post('', { method: 'POST', body: form(picture('coffee'), 'file') }), 400, 'bad_request');
      await problemOf(await post('', { method: 'POST', headers: { 'content-type': 'image/png' }, body: '' }), 422, 'payload_empty');
      await problemOf(await post('', { method: 'POST', headers: { 'content-type': 'multipart/form-data' }, body: 'x' }), 400, 'bad_request');
      await problemOf(await post('', { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x\r\n\r\ntorn' }), 400, 'bad_request');
    });
    test('an unknown route: 404; a wrong method: 405, and which it takes', async () => {
      await problemOf(await fetch(`${edge.url}/v1/nothing`), 404, 'not_found');
      const wrong = await fetch(`${edge.url}/v1/infer`);
      assert.equal(wrong.headers.get('allow'), 'POST');
      await problemOf(wrong, 405, 'method_not_allowed');
    });
  });

  test('300 refused uploads keep no place: the next is answered', async () => {
    for (let sent = 0; sent < 300; sent += 30) {
      const refused = await Promise.all(Array.from({ length: 30 }, () => post('?model=resnet', raw(Buffer.from('no image')))));
      assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([415]));
    }
    assert.equal(edge.edge.waiting, 0);
    assert.equal((await post('', raw(picture('chelsea')))).status, 200);
  });

  test('a client that leaves half way harms nobody', async () => {
    const { port } = new URL(edge.url);
    await new Promise<void>((resolve) => {
      const half = request({ port, method: 'POST', path: '/v1/infer', headers: { 'content-type': 'image/jpeg', 'content-length': 100_000 } });
      half.on('error', () => resolve());
      half.write(Buffer.alloc(1000));
      setTimeout(() => half.destroy(), 50);
    });
    assert.equal((await post('', raw(picture('chelsea')))).status, 200);
  });

  test('many at once are all answered, each with its own', async () => {
    const labels = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const response = await post('?model=efficientnet-lite0', raw(picture(i % 2 ? 'coffee' : 'chelsea')));
        return ((await response.json()) as { predictions: { label: string }[] }).predictions[0]!.label;
      }),
    );
    for (const [i, label] of labels.entries()) assert.match(label, i % 2 ? /espresso/ : /cat/i);
  });

  test('/health, /ready and /metrics', async () => {
    assert.equal((await fetch(`${edge.url}/health`)).status, 200);
    const ready = await fetch(`${edge.url}/ready`);
    assert.deepEqual([ready.status, ((await ready.json()) as { status: string }).status], [200, 'ready']);
    const metrics = await (await fetch(`${edge.url}/metrics`)).text();
    for (const name of ['saccade_stage_records_total{stage="preprocess",outcome="emitted"}', 'saccade_stage_phase_seconds_bucket', 'saccade_stage_lag_records', 'saccade_edge_request_seconds_count', 'saccade_edge_refused_total{code="unsupported_media_type"}']) {
      assert.ok(metrics.includes(name), name);
    }
  });
});

describe('an edge whose pipeline does not answer', () => {
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 300, maxWaiting: 2 });
  });
  after(() => edge.close());
  const post = () => fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')));

  test('504 when the time is up, 503 with Retry-After when too many wait', async () => {
    const responses = await Promise.all([post(), post(), post(), post()]);
    const statuses = responses.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [503, 503, 504, 504]);
    const busy = responses.find(({ status }) => status === 503)!;
    assert.equal(busy.headers.get('retry-after'), '1');
    await problemOf(busy, 503, 'overloaded');
    await problemOf(responses.find(({ status }) => status === 504)!, 504, 'deadline_exceeded');
  });
});

test('before its partition of replies is positioned, the edge says it is not ready', async () => {
  const edge = await startEdgeUnderTest({ stages: [], open: false });
  await problemOf(await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'))), 503, 'not_ready');
  const ready = await fetch(`${edge.url}/ready`);
  assert.equal(ready.status, 503);
  assert.match(await ready.text(), /replies/);
  await edge.close();
});
