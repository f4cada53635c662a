/** Malformed requests: every one gets an answer that blames it, and keeps nothing. `npm run bench -- fuzz` sends more. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { malformed } from '../../loadtest/fuzz/malformed.ts';
import { sendAll, type Told } from '../../loadtest/fuzz/send.ts';
import type { Store } from '../../connectors/ports.ts';
import { type EdgeUnderTest, picture, raw, startEdgeUnderTest } from '../support/edge.ts';
import { embeddedStore } from '../support/embedded-store.ts';
import { eventually } from '../support/pipeline.ts';

describe('malformed requests', { timeout: 200_000 }, () => {
  let store: Store;
  let edge: EdgeUnderTest;
  const logged: unknown[] = [];
  embeddedStore('fuzz', (opened) => (store = opened));
  before(async () => {
    edge = await startEdgeUnderTest({ store, maxWaiting: 16, logger: { warn: (...line) => logged.push(line), error: (...line) => logged.push(line) } });
  });
  after(() => edge.close());

  test('none ends the edge, none is answered 5xx, none goes unanswered, and none keeps a place', async () => {
    const told: Told[] = [];
    await sendAll(edge.url, malformed(11, 680), 8, (one) => told.push(one));
    const faults = told.filter(({ outcome, status }) => outcome === 'silent' || (status !== null && status >= 500));
    assert.deepEqual(faults, [], JSON.stringify(logged).slice(0, 3000));
    assert.equal(told.length, 680);
    const kinds = new Set(told.filter(({ status }) => status !== null && status >= 400).map(({ kind }) => kind));
    assert.ok(kinds.size >= 12, `${[...kinds]}`);
    // Sixteen places: had any of them been kept, they would be gone by now.
    await eventually(async () => (await fetch(`${edge.url}/v1/infer`, raw(picture('coffee')))).status === 200, 'an answer to a good picture');
    const together = await Promise.all(Array.from({ length: 16 }, () => fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')))));
    assert.deepEqual(together.map(({ status }) => status), Array(16).fill(200));
    assert.equal(edge.edge.waiting, 0);
  });

  test('the same seed makes the same requests', () => {
    const bytes = (seed: number): string[] => [...malformed(seed, 40)].map((one) => one.bytes.toString('base64'));
    assert.deepEqual(bytes(3), bytes(3));
    assert.notDeepEqual(bytes(3), bytes(4));
  });
});
