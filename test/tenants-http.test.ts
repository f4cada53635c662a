/** What comes over HTTP is a source of its tenant's: one that is above its quota takes nothing of another's. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileRegistry } from '../connectors/registry/files.ts';
import type { Frame } from '../schemas/records.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { picture, raw } from './support/edge.ts';
import { readAll } from './support/pipeline.ts';

describe('the quota of pictures over HTTP', { timeout: 120_000 }, () => {
  const burst = 3;
  let database: TestDatabase;
  let edge: ClosedEdge;
  before(async () => {
    database = await anyDatabase();
    edge = await startClosedEdge(database, { stages: [], quota: { framesPerSecond: 0.001, burst, calmMs: 1_000 } });
  });
  after(async () => {
    await edge.close();
    await database.stop();
  });

  test('is each tenant\'s own', async () => {
    const [busy, quiet] = [await edge.key('busy', 'operator'), await edge.key('quiet', 'operator')];
    const send = async (key: string): Promise<void> => assert.equal((await fetch(`${edge.url}/v1/infer?wait=0`, raw(picture('coffee'), bearer(key)))).status, 202);
    for (let i = 0; i < burst + 2; i++) await send(busy);
    for (let i = 0; i < burst; i++) await send(quiet);
    const registry = fileRegistry();
    const tenantsIn = async (topic: 'frames' | 'frames.overflow'): Promise<string[]> =>
      (await Promise.all((await readAll(edge.log, topic)).map(async ({ value }) => ((await registry.decode(topic, value!)) as Frame).tenant))).toSorted();
    assert.deepEqual(await tenantsIn('frames'), [...Array<string>(burst).fill('busy'), ...Array<string>(burst).fill('quiet')]);
    assert.deepEqual(await tenantsIn('frames.overflow'), ['busy', 'busy']);
  });
});
