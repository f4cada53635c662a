/** One key that asks all the time beside others that ask now and then: each has its part of what the pipeline answers in time. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FastifyRequest } from 'fastify';
import sharp from 'sharp';
import { edgeConfig } from '../processors/edge/config.ts';
import { openPaces } from '../processors/edge/paces.ts';
import type { Principal } from '../processors/edge/principal.ts';
import { type Asker, openShares } from '../processors/edge/shares.ts';
import { type EdgeUnderTest, picture, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';

const asker = (name: string): Asker => ({ tenant: name.split('/')[0]!, id: name });

test('a tenant has an even part, and of it each of its keys; what one does not want is the others\'', () => {
  const shares = openShares();
  const fill = (name: string): number => {
    let count = 0;
    for (; shares.within(asker(name), 12); count++) shares.take(asker(name));
    return count;
  };
  assert.equal(fill('a/1'), 12, 'it is alone');
  assert.equal(fill('b/1'), 6, 'one of two');
  assert.equal(fill('a/2'), 3, 'half of what its tenant has');
  assert.equal(fill('b/1'), 0);
  assert.equal(fill('c/1'), 4);
  for (let i = 0; i < 12; i++) shares.back(asker('a/1'));
  assert.equal(fill('a/2'), 1, 'its tenant has four');
  for (const [name, count] of [['a/2', 4], ['b/1', 6], ['c/1', 4]] as const) for (let i = 0; i < count; i++) shares.back(asker(name));
  assert.equal(fill('d/1'), 12, 'nobody is left');
});

/** People of several keys, who think for `thinkMs` between an answer, or a refusal a second ago, and the next request; a pipeline that answers 150 a second. */
function serve(keys: Readonly<Record<string, { readonly people: number; readonly thinkMs: number }>>) {
  let now = 0;
  const doors = openPaces({ now: () => now }, edgeConfig.parse({})).of('m');
  const people = Object.entries(keys).flatMap(([name, { people: count, thinkMs }]) => Array.from({ length: count }, (_, i) => ({ name, thinkMs, next: (i * 1_000) / count })));
  const counts = new Map(Object.keys(keys).map((name) => [name, { answered: 0, refused: 0 }]));
  const queue: { readonly one: (typeof people)[number]; readonly at: number; readonly back: (tookMs: number) => void }[] = [];
  let credit = 0;
  for (; now < 40_000; now++) {
    const counted = now > 10_000 ? 1 : 0;
    for (const one of people) {
      if (one.next > now) continue;
      if (doors.tooMany(asker(one.name))) {
        doors.requests.turnedAway();
        counts.get(one.name)!.refused += counted;
        one.next = now + 1_000;
      } else {
        queue.push({ one, at: now, back: doors.enter(asker(one.name)) });
        one.next = Number.POSITIVE_INFINITY;
      }
    }
    for (credit = queue.length === 0 ? 0 : credit + 0.15; credit >= 1 && queue.length > 0; credit--) {
      const { one, at, back } = queue.shift()!;
      back(now - at);
      counts.get(one.name)!.answered += counted;
      one.next = now + one.thinkMs;
    }
  }
  return Object.fromEntries(counts);
}

test('ten people of one key are refused nothing while another key floods, be it of their tenant or not', () => {
  for (const name of ['quiet/1', 'flood/2']) {
    const told = serve({ 'flood/1': { people: 1_000, thinkMs: 100 }, [name]: { people: 10, thinkMs: 2_000 } });
    assert.equal(told[name]!.refused, 0, JSON.stringify(told));
    assert.ok(told['flood/1']!.answered + told[name]!.answered > 0.95 * 150 * 30, JSON.stringify(told));
  }
});

test('of two that flood each has half, however many more one of them sends', () => {
  const told = serve({ 'a/1': { people: 1_000, thinkMs: 100 }, 'b/1': { people: 250, thinkMs: 100 } });
  const [a, b] = [told['a/1']!.answered, told['b/1']!.answered];
  assert.ok(Math.min(a, b) > 0.8 * Math.max(a, b), JSON.stringify(told));
});

describe('at the edge', () => {
  const small = sharp(picture('coffee')).resize(160, 120).jpeg().toBuffer();
  /** The credential is who asks. */
  const access = async () => ({
    authenticate: async ({ headers }: FastifyRequest): Promise<Principal> => ({ ...asker(headers.authorization!.slice('Bearer '.length)), role: 'operator', kind: 'key' }),
    guard() {},
    routes() {},
  });
  const ask = async (edge: EdgeUnderTest, name: string): Promise<Response> => fetch(`${edge.url}/v1/infer`, raw(await small, { authorization: `Bearer ${name}` }));

  test('where one key has all there is, others get their part of it, at their first request and at their next', async () => {
    const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 4_000, pace: { paceFirst: 4, paceLeast: 1 }, access });
    const letIn: Promise<Response>[] = [];
    for (const name of ['a/1', 'a/1', 'a/1', 'a/1', 'b/1', 'b/1', 'a/2']) {
      letIn.push(ask(edge, name));
      await eventually(async () => edge.edge.waiting === letIn.length, `${name} is let in`);
    }
    for (const name of ['a/1', 'b/1', 'a/2']) await problemOf(await ask(edge, name), 503, 'overloaded');
    assert.deepEqual(new Set((await Promise.all(letIn)).map(({ status }) => status)), new Set([504]));
    await edge.close();
  });

  test('where one key has as many requests in hand as there may be, others get their part of those too', async () => {
    const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 3_000, maxWaiting: 2, access });
    const letIn: Promise<Response>[] = [];
    for (const name of ['a/1', 'a/1', 'b/1']) {
      letIn.push(ask(edge, name));
      await eventually(async () => edge.edge.waiting === letIn.length, `${name} is let in`);
    }
    for (const name of ['a/1', 'b/1']) await problemOf(await ask(edge, name), 503, 'overloaded');
    assert.deepEqual(new Set((await Promise.all(letIn)).map(({ status }) => status)), new Set([504]));
    await edge.close();
  });

  test('beside a flood that a real model does not keep up with, one that asks now and then is answered each time', async () => {
    const edge = await startEdgeUnderTest({ pace: { paceFirst: 4, paceLeast: 4, paceCalm: 0, targetMs: 1, lateMs: 0 }, access });
    const flood = { done: false, refused: 0 };
    const flooding = Array.from({ length: 16 }, async () => {
      while (!flood.done) {
        const response = await ask(edge, 'a/1');
        await response.arrayBuffer();
        if (response.status === 503) flood.refused += 1;
      }
    });
    await eventually(async () => flood.refused > 20, 'more than it gets');
    const statuses: number[] = [];
    for (let i = 0; i < 20; i++) statuses.push((await ask(edge, 'b/1')).status);
    flood.done = true;
    await Promise.all(flooding);
    assert.deepEqual(statuses, Array(20).fill(200));
    await edge.close();
  });
});
