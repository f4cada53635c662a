/** What the pipeline gets of live sessions, of one and of all together; and a session whose client was at another edge meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { freely } from '../processors/edge/ledger.ts';
import { createPace } from '../processors/edge/pace.ts';
import { createBudget } from '../processors/edge/stream/budget.ts';
import { streamConfig } from '../processors/edge/stream/config.ts';
import { frameSender } from '../processors/edge/stream/frame-sender.ts';
import { streamMetrics } from '../processors/edge/stream/metrics.ts';
import { errorOutcome } from '../processors/edge/stream/prepare-frame.ts';
import { createSession, type FrameInHand, type Session } from '../processors/edge/stream/session.ts';

const targetMs = 1_000;

/** A pipeline that answers `perSecond` frames, one after the other, on a clock of its own. */
async function overload({ sessions, everyMs, perSecond, seconds }: { sessions: readonly number[]; everyMs: (n: number) => number; perSecond: number; seconds: number }) {
  let now = 0;
  const limits = streamConfig.parse({ window: 64 });
  const clock = { now: () => now, sleep: async () => {} };
  const metrics = streamMetrics(new Registry(), { sockets: () => 0, sessions: () => 0, bytes: () => 0, frames: () => 0 });
  const { door } = createPace(clock, { door: { targetMs, first: 32, most: 1_024 } }).doors;
  const work: { readonly session: Session; readonly sequence: number; readonly takenAt: number; readonly receivedAt: number }[] = [];
  const made = sessions.map((n) => {
    const about = { tenant: 't', session: `${n}`, source: `${n}`, model: 'm', policy: 'drop_oldest', acknowledged: -1 } as const;
    const session = createSession({ about, limits, budget: createBudget(1e9), keptBudget: createBudget(1e9), clock, metrics, door, served: () => true, allowed: () => 'yes', wake: (woken) => sender.wake(woken), errorOf: errorOutcome });
    session.attach({ send() {}, close() {}, slow: false, tap: freely, pause() {}, resume() {} }, 'new', -1);
    return { session, every: everyMs(n), next: Math.floor((n / sessions.length) * everyMs(n)), sequence: 0, answered: 0 };
  });
  const sender = frameSender({
    // Its naps are the test's steps.
    clock: { now: () => now, sleep: () => new Promise((resolve) => void naps.push(resolve)) },
    prepare: async (session, { sequence, receivedAt }) => ({ record: { topic: 'frames', key: null, value: null }, acknowledged: () => void work.push({ session, sequence, takenAt: now, receivedAt }), cancel() {} }),
    send: async () => {}, held: () => false, told() {},
  });
  const naps: (() => void)[] = [];
  const latencies: number[] = [];
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 12; i++) await Promise.resolve();
  };
  let credit = 0;
  for (; now < seconds * 1_000; now += 5) {
    for (const one of made) {
      for (; one.next <= now; one.next += one.every) one.session.receive({ sequence: one.sequence++, capturedAt: null, image: Buffer.alloc(10) });
    }
    credit += perSecond / 200;
    for (; credit >= 1 && work.length > 0; credit -= 1) {
      const { session, sequence, takenAt, receivedAt } = work.shift()!;
      session.answered({ type: 'result', sequence }, now - takenAt);
      if (now < (seconds * 1_000) / 2) continue;
      latencies.push(now - receivedAt);
      made.find((one) => one.session === session)!.answered += 1;
    }
    credit = Math.min(credit, 1);
    for (const nap of naps.splice(0)) nap();
    await settled();
  }
  const closing = sender.close();
  for (const nap of naps) nap();
  await closing;
  const counts = made.map(({ answered }) => answered);
  const sum = counts.reduce((all, n) => all + n, 0);
  return { counts, jain: sum ** 2 / (counts.length * counts.reduce((all, n) => all + n ** 2, 0)), perSecond: sum / (seconds / 2), p95: latencies.sort((a, b) => a - b)[Math.floor(latencies.length * 0.95)]! };
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test('hundreds of cameras with a frame in five seconds and a pipeline for a third of them: answers are young, each has its share, and the pipeline is full', async () => {
  const { jain, p95, perSecond } = await overload({ sessions: upTo(300), everyMs: () => 5_000, perSecond: 20, seconds: 90 });
  assert.ok(p95 < 2.5 * targetMs, `p95 ${p95} ms`);
  assert.ok(jain > 0.95, `${jain}`);
  assert.ok(perSecond > 17, `${perSecond} answered a second`);
});

test('a quick camera among slow ones takes what they leave and no more', async () => {
  const { counts } = await overload({ sessions: upTo(21), everyMs: (n) => (n === 0 ? 50 : 500), perSecond: 30, seconds: 60 });
  // Twenty slow ones want 40 a second together: everybody gets thirty by twenty-one.
  const share = (30 * 30) / 21;
  for (const [n, count] of counts.entries()) assert.ok(count > 0.7 * share && count < 1.5 * share, `${n} had ${count} of ${share}`);
});

test('a client that was at another edge meanwhile is told nothing twice, and what it sent there is no new frame here', () => {
  const limits = streamConfig.parse({});
  const clock = { now: () => 0, sleep: async () => {} };
  const budget = createBudget(1e9);
  const registry = new Registry();
  const metrics = streamMetrics(registry, { sockets: () => 0, sessions: () => 0, bytes: () => 0, frames: () => 0 });
  const about = { tenant: 't', session: 's', source: 'gate', model: 'm', policy: 'wait', acknowledged: -1 } as const;
  const session = createSession({ about, limits, budget, keptBudget: createBudget(1e9), clock, metrics, door: createPace(clock, { door: { targetMs, first: 32, most: 1_024 } }).doors.door, served: () => true, allowed: () => 'yes', wake() {}, errorOf: errorOutcome });
  const linkTo = (told: { readonly type: string; readonly sequence?: number }[]) => ({ send: (json: string) => void told.push(JSON.parse(json)), close() {}, slow: false, tap: freely, pause() {}, resume() {} });
  const [first, second]: [{ type: string; sequence?: number; received?: number }[], { type: string; sequence?: number; received?: number }[]] = [[], []];
  const link = linkTo(first);
  session.attach(link, 'new', -1);
  for (const sequence of upTo(7)) session.receive({ sequence, capturedAt: null, image: Buffer.alloc(10) });
  // Five of them are with the pipeline, and two still here, when it goes.
  const taken = upTo(5).map(() => session.take(0) as FrameInHand);
  for (const frame of taken) session.acknowledged(frame);
  for (const sequence of [0, 1]) session.answered({ type: 'result', sequence }, 1);
  session.detach(link);
  // Here its second is answered and not told; at the other edge it had all up to 5.
  session.answered({ type: 'result', sequence: 2 }, 1);
  session.attach(linkTo(second), 'held', 5);
  assert.deepEqual(second.map(({ type, received }) => [type, received]), [['welcome', 6]]);
  for (const sequence of [3, 4]) session.answered({ type: 'result', sequence }, 1);
  session.receive({ sequence: 5, capturedAt: null, image: Buffer.alloc(10) });
  const last = session.take(0) as FrameInHand;
  assert.equal(last.sequence, 6, 'the one before it nobody waits for');
  session.acknowledged(last);
  session.answered({ type: 'result', sequence: 6 }, 1);
  assert.deepEqual(second.map(({ type, sequence }) => [type, sequence]), [['welcome', undefined], ['duplicate', 5], ['result', 6]]);
  assert.equal(budget.held, 0);
});
