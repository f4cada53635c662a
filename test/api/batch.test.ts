import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Log, OutgoingRecord } from '../../connectors/ports.ts';
import type { Batch } from '../../schemas/api/batch.ts';
import type { Result } from '../../schemas/api/result.ts';
import { type EdgeUnderTest, picture, problemOf, raw, startEdgeUnderTest } from '../support/edge.ts';
import { eventually } from '../support/pipeline.ts';

function form(...images: readonly Buffer[]): FormData {
  const data = new FormData();
  for (const image of images) data.append('images', new Blob([new Uint8Array(image)]), 'picture');
  return data;
}

/** Every send of frames, as it came to the log's producer. */
function watching(sends: (readonly OutgoingRecord[])[]) {
  return (log: Log): Log => ({
    ...log,
    async producer() {
      const producer = await log.producer();
      return {
        ...producer,
        send(records) {
          if (records.some(({ topic }) => topic === 'frames')) sends.push(records);
          return producer.send(records);
        },
      };
    },
  });
}

describe('POST /v1/batch_infer', () => {
  const sends: (readonly OutgoingRecord[])[] = [];
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest({ wrap: watching(sends), maxBatchBytes: 6_000_000 });
  });
  after(() => edge.close());
  const post = (query: string, body: FormData, headers: Record<string, string> = {}) => fetch(`${edge.url}/v1/batch_infer${query}`, { method: 'POST', body, headers });
  const items = async (response: Response): Promise<Batch> => {
    const body = (await response.json()) as Batch;
    assert.ok(response.ok, JSON.stringify(body));
    return body;
  };

  test('each picture has its answer in its place, and all went out in one send', async () => {
    sends.length = 0;
    const { items: found, errors } = await items(await post('?model=efficientnet-lite0', form(picture('coffee'), picture('chelsea'), picture('coffee'))));
    assert.equal(errors, 0);
    assert.deepEqual(found.map(({ index }) => index), [0, 1, 2]);
    const labels = found.map(({ answer }) => answer!.predictions![0]!.label);
    assert.equal(labels[0], 'espresso');
    assert.match(labels[1]!, /cat/i);
    assert.equal(labels[2], 'espresso');
    assert.equal(new Set(found.map(({ answer }) => answer!.id)).size, 3);
    assert.deepEqual(sends.map((records) => records.length), [3]);
  });

  test("a bad picture's fault is its own, in its place", async () => {
    const big = Buffer.concat([picture('coffee'), Buffer.alloc(4_100_000)]);
    const torn = picture('coffee').subarray(0, 5000);
    const { items: found, errors } = await items(await post('?model=nanodet', form(picture('astronaut'), Buffer.from('no image at all'), big, torn, Buffer.alloc(0), picture('chelsea'))));
    assert.deepEqual(found.map(({ error }) => error?.code), [undefined, 'unsupported_media_type', 'payload_too_large', 'undecodable_image', 'payload_empty', undefined]);
    assert.equal(errors, 4);
    assert.ok(found[0]!.answer!.detections!.some(({ label }) => label === 'person'));
    assert.ok(found[5]!.answer);
  });

  test('under an Idempotency-Key each picture is the same frame again', async () => {
    const ids = [];
    for (let time = 0; time < 2; time++) ids.push((await items(await post('', form(picture('coffee'), picture('coffee')), { 'idempotency-key': 'album' }))).items.map(({ answer }) => answer!.id));
    assert.deepEqual(ids[0], ids[1]);
    assert.notEqual(ids[0]![0], ids[0]![1]);
  });

  test('128 are taken, 129 are refused, and so is none', async () => {
    const small = Buffer.from('not an image');
    assert.equal((await items(await post('', form(...Array.from({ length: 128 }, () => small))))).items.length, 128);
    const over = await problemOf(await post('', form(...Array.from({ length: 129 }, () => small))), 400, 'bad_request');
    assert.match(over.detail!, /128/);
    await problemOf(await post('', form()), 400, 'bad_request');
  });

  test('what is wrong with the request as a whole is said once', async () => {
    await problemOf(await post('?model=resnet', form(picture('coffee'))), 422, 'unknown_model');
    await problemOf(await fetch(`${edge.url}/v1/batch_infer`, raw(picture('coffee'))), 415, 'unsupported_media_type');
    const other = new FormData();
    other.append('images', new Blob(['x']), 'a');
    other.append('imags', new Blob(['x']), 'b');
    assert.match((await problemOf(await post('', other), 400, 'bad_request')).detail!, /imags/);
    const heavy = Buffer.alloc(3_000_000, 1);
    await problemOf(await post('', form(heavy, heavy, heavy)), 413, 'payload_too_large');
  });

  test('wait=0: accepted at once, and each outcome is where it was said to be', async () => {
    const response = await post('?model=efficientnet-lite0&wait=0', form(picture('coffee'), Buffer.from('no image')));
    assert.equal(response.status, 202);
    const { items: found } = await items(response);
    assert.equal(found[1]!.error!.code, 'unsupported_media_type');
    const { result } = found[0]!.accepted!;
    let outcome: Result | undefined;
    await eventually(async () => {
      const asked = await fetch(edge.url + result);
      outcome = (await asked.json()) as Result;
      assert.ok(asked.status === 200 || (asked.status === 202 && outcome.status === 'pending' && asked.headers.get('retry-after') === '1'), JSON.stringify(outcome));
      return asked.status === 200;
    }, 'the outcome');
    assert.equal(outcome!.outcomes[0]!.answer!.predictions![0]!.label, 'espresso');
  });
});
