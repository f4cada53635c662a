/** The clients that the README shows: what stands there is what runs here. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { openAsBlob, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Store } from '../../connectors/ports.ts';
import { type Refusal, saccade } from '../../schemas/api/client.ts';
import { prediction } from '../contracts/store.ts';
import { type EdgeUnderTest, startEdgeUnderTest } from '../support/edge.ts';
import { embeddedStore } from '../support/embedded-store.ts';
import { eventually } from '../support/pipeline.ts';
import { needsPython, run } from '../support/python.ts';
import { storePredictions } from '../support/rows.ts';

const readme = readFileSync('README.md', 'utf8');

describe('the clients of the README', { timeout: 120_000 }, () => {
  let store: Store;
  let edge: EdgeUnderTest;
  embeddedStore('client', (opened) => (store = opened));
  before(async () => {
    await storePredictions(store, Array.from({ length: 130 }, (_, n) => prediction({ captured_at: 1_700_000_000_000 + n, detections: [{ class_id: 1, label: n % 2 === 0 ? 'person' : 'cup', score: 0.6, x1: 0, y1: 0, x2: 1, y2: 1 }] })));
    edge = await startEdgeUnderTest({ store });
  });
  after(() => edge.close());

  /** As it stands in the README: indented, and with the path a reader of the repository's root needs. */
  const shown = (file: string): string => readFileSync(file, 'utf8').trimEnd().replace('../../schemas', './schemas').split('\n').map((line) => (line === '' ? '' : `    ${line}`)).join('\n');

  test('in TypeScript', async () => {
    assert.ok(readme.includes(shown('test/api/readme-client.ts')), 'the README shows another program');
    const { code, stdout, stderr } = await run(process.execPath, ['--import', 'tsx', 'test/api/readme-client.ts', edge.url]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^espresso\n/);
    assert.match(stdout, /status: 'ok'/);
    assert.equal(stdout.match(/ camera 1$/gm)?.length, 65, 'all pages');
  });

  test('in Python', { skip: needsPython }, async () => {
    assert.ok(readme.includes(shown('test/api/readme_client.py')), 'the README shows another program');
    const { code, stdout, stderr } = await run('python3', ['test/api/readme_client.py', edge.url]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^person 0\.\d+ \[/m);
    assert.equal(stdout.match(/ camera \d+$/gm)?.length, 10);
  });

  test('a refusal is an error with its problem', async () => {
    const client = saccade(edge.url);
    const coffee = await openAsBlob('media/coffee.jpg');
    await assert.rejects(client.infer(coffee, { model: 'resnet' }), (error: Refusal) => error.problem.code === 'unknown_model' && /resnet/.test(error.message));
    const { items, errors } = await client.inferBatch([coffee, new Blob(['x'])]);
    assert.deepEqual([items.length, errors], [2, 1]);
    assert.equal((await client.models()).models[0]!.name, 'efficientnet-lite0');
    assert.equal((await client.stats({ source: 'camera' })).counted_until, null);
  });

  test('so is what a proxy says in its place, and its connection is given back', async (t) => {
    let cut = false;
    const proxy = createServer((_request, response) => {
      response.on('close', () => (cut = true));
      // It does not end: nobody waits for that.
      response.writeHead(502, { 'content-type': 'text/html' }).write('<h1>502 Bad Gateway</h1>');
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    t.after(() => (proxy.close(), proxy.closeAllConnections()));
    const client = saccade(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    await assert.rejects(client.models(), (error: Refusal) => error.problem.status === 502 && error.message === '502 Bad Gateway');
    await eventually(() => cut, 'the end of what nobody reads');
  });
});
