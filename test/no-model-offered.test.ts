/** A pipeline none of whose models may be asked for at present (two unloads at once; a restart while the only one drains): every door says so. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { accept } from '../processors/ingest/accept.ts';
import { picture, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { readAll } from './support/pipeline.ts';
import { streamClient } from './support/stream-client.ts';

describe('where no model may be asked for', () => {
  test('a picture that names none is refused by every route and by the stream, and none becomes a frame for nobody', async (t) => {
    const edge = await startEdgeUnderTest({ stages: [], offered: [] });
    t.after(() => edge.close());
    const refused = async (path: string, init: RequestInit): Promise<unknown> => problemOf(await fetch(`${edge.url}${path}`, { method: 'POST', ...init }), 422, 'unknown_model');
    const batch = new FormData();
    batch.append('images', new Blob([new Uint8Array(picture('coffee'))]));
    for (const path of ['/v1/infer', '/v1/infer?wait=0']) await refused(path, raw(picture('coffee')));
    await refused('/v1/batch_infer', { body: batch });
    const query = JSON.stringify({ query: 'mutation($image: String!) { infer(image: $image) { id } }', variables: { image: picture('coffee').toString('base64') } });
    const told = await fetch(`${edge.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: query });
    assert.match(await told.text(), /unknown_model/);
    await assert.rejects(streamClient(edge.url, { source: 'gate' }), /422/);
    assert.deepEqual(await readAll(edge.log, 'frames'), []);
  });

  test('a record of frames.in that names none is refused rather than accepted without an outcome', async () => {
    const rules = { maxImageBytes: 1e7, claimCheckBytes: 1e7, models: [], blobs: memoryBlobs() };
    const offered = { id: 'f', tenant: 't', source: 'cam', sequence: null, capturedAt: 1, acceptedAt: 2, image: picture('coffee'), models: null, deadline: null, reply: null };
    await assert.rejects(accept(offered, rules), /No such model is served/);
  });
});
