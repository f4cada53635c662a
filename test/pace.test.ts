/** How many pictures the pipeline gets at once: a burst is let in, a queue that stays is not. Clocks are the tests'. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPace, type Door, type DoorRules } from '../processors/edge/pace.ts';
import { edgeConfig } from '../processors/edge/config.ts';
import { openPaces } from '../processors/edge/paces.ts';

function fill(door: Door): number {
  let taken = 0;
  for (; !door.full; taken++) door.take();
  return taken;
}

/** A pace with one door. */
function alone(now: () => number, rules: DoorRules) {
  const pace = createPace({ now }, { only: rules });
  return { door: pace.doors.only, limit: () => pace.limit };
}

test('late answers lower what is under way once for all that was on its way together, answers in time raise it while it is reached', () => {
  let now = 0;
  const { door, limit } = alone(() => now, { targetMs: 1_000, first: 10, most: 12 });
  assert.equal(fill(door), 10);
  now = 3_000;
  for (let i = 0; i < 10; i++) door.back(3_000);
  assert.equal(Math.floor(limit()), 3, 'not ten times over, and as many as take the target at this rate');
  assert.equal(fill(door), 6, 'after it has been empty, twice as many');
  now = 4_200;
  door.back(1_200);
  assert.ok(limit() < 5);
  for (let i = 0; i < 2; i++) door.back(null);
  assert.ok(limit() < 5, 'what never was in the pipeline says nothing');
  for (let i = 0; i < 200; i++) {
    fill(door);
    door.back(50);
  }
  assert.equal(limit(), 12);
  for (let i = 0; i < 10; i++) door.back(50);
  for (let i = 0; i < 50; i++) {
    now += 10_000;
    door.back(9_000);
    assert.equal(door.full, false, 'one at least, however slow it is');
    door.take();
  }
  assert.ok(limit() < 3, `${limit()}`);
});

/** A pipeline that answers `perSecond`, first come first served, and clients whose arrivals (how many, by millisecond) are given. */
function serve(options: Partial<DoorRules>, { perSecond, seconds, arrivals }: { perSecond: number; seconds: number; arrivals: (ms: number) => number }) {
  const { targetMs, lateMs, paceFirst: first, paceLeast: least, maxAwaited: most } = edgeConfig.parse({ targetMs: 100, paceFirst: 128 });
  let now = 0;
  const { door, limit } = alone(() => now, { targetMs, lateMs, first, most, least, ...options });
  const queue: number[] = [];
  const answers: { readonly at: number; readonly took: number }[] = [];
  const refusals: number[] = [];
  let credit = 0;
  for (; now < seconds * 1_000; now++) {
    for (let i = arrivals(now); i > 0; i--) {
      if (door.full) refusals.push((door.turnedAway(), now));
      else queue.push((door.take(), now));
    }
    for (credit = queue.length === 0 ? 0 : credit + perSecond / 1_000; credit >= 1 && queue.length > 0; credit--) {
      const took = now - queue.shift()!;
      door.back(took);
      answers.push({ at: now, took });
    }
  }
  return { limit, answers, refusals };
}

const p95 = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)]!;

test('ten times too much: after two seconds answers are in time all but, nobody waits in vain, and the pipeline has work all the time', () => {
  for (const perSecond of [100, 150, 600]) {
    const { answers, refusals } = serve({}, { perSecond, seconds: 20, arrivals: () => perSecond / 100 });
    const steady = answers.filter(({ at }) => at > 2_500).map(({ took }) => took);
    assert.ok(p95(steady) < 180, `${perSecond}/s: p95 ${p95(steady)}`);
    assert.ok(steady.length > 17.5 * perSecond * 0.97, `${perSecond}/s: ${steady.length / 17.5}/s answered`);
    assert.ok(refusals.length > 0);
  }
});

test('bursts that pass are let in whole, again and again, and so is one after an overload has passed', () => {
  const bursts = (ms: number): number => (ms % 2_000 === 0 ? 100 : 0);
  assert.deepEqual(serve({}, { perSecond: 160, seconds: 30, arrivals: bursts }).refusals, []);
  const after = serve({}, { perSecond: 160, seconds: 40, arrivals: (ms) => (ms < 10_000 ? 2 : bursts(ms)) });
  assert.ok(after.refusals.every((ms) => ms < 20_000), `refused at ${after.refusals.findLast(() => true)}`);
});

test('a few clients side by side are never refused, however slow the model', () => {
  const { paceLeast } = edgeConfig.parse({});
  const { limit, answers } = serve({}, { perSecond: 4, seconds: 60, arrivals: (ms) => (ms % 250 === 0 ? 2 : 0) });
  assert.equal(Math.floor(limit()), paceLeast);
  assert.ok(answers.length >= 4 * 59, 'and it has work all the time');
});

/** `count` people who think for a second between an answer and the next request, as the edge is set by itself. `left`: of whom so many are there still at that time. */
function people(count: number, perSecond: number, seconds = 60, left: (ms: number) => number = () => count) {
  let now = 0;
  const door = openPaces({ now: () => now }, edgeConfig.parse({})).of('m').requests;
  /** When each comes next. */
  const thinking = Array.from({ length: count }, (_, i) => (i * 1_000) / count);
  const queue: { readonly i: number; readonly at: number }[] = [];
  const took: number[] = [];
  let refused = 0;
  let refusedLast = 0;
  let credit = 0;
  for (; now < seconds * 1_000; now++) {
    for (const [i, at] of thinking.entries()) {
      if (at > now || i >= left(now)) continue;
      thinking[i] = door.full ? now + 1_000 : Number.POSITIVE_INFINITY;
      if (door.full) {
        refused += 1;
        refusedLast = now;
        door.turnedAway();
      } else {
        door.take();
        queue.push({ i, at: now });
      }
    }
    for (credit = queue.length === 0 ? 0 : credit + perSecond / 1_000; credit >= 1 && queue.length > 0; credit--) {
      const { i, at } = queue.shift()!;
      door.back(now - at);
      took.push(now - at);
      thinking[i] = now + 1_000;
    }
  }
  return { refused, refusedLast, p95: p95(took.slice(took.length / 4)), perSecond: took.length / seconds };
}

test('three hundred people are let in, all of them, by a machine that answers 120 a second', () => {
  for (const perSecond of [120, 170, 250]) assert.equal(people(300, perSecond).refused, 0, `${perSecond}/s`);
});

test('of a thousand so many are let in as are answered in time, no later than three hundred would have been', () => {
  for (const perSecond of [120, 170, 250]) {
    const [many, few] = [people(1_000, perSecond), people(300, perSecond)];
    assert.ok(many.refused > 0);
    assert.ok(many.p95 < Math.max(few.p95, 650), `${perSecond}/s: p95 ${many.p95} beside ${few.p95}`);
    assert.ok(many.perSecond > 0.95 * perSecond, `${many.perSecond} of ${perSecond}/s`);
  }
});

test('where three hundred of a thousand are left, they are let in again within seconds, all of them', () => {
  for (const perSecond of [120, 170]) {
    const { refused, refusedLast } = people(1_000, perSecond, 60, (ms) => (ms < 20_000 ? 1_000 : 300));
    assert.ok(refused > 0 && refusedLast < 25_000, `${perSecond}/s: refused until ${refusedLast} ms`);
  }
});

test('where that would take too long, a slow model, fewer are let in', () => {
  const { p95: late, perSecond } = people(1_000, 30);
  assert.ok(late < 2_500, `p95 ${late}`);
  assert.ok(perSecond > 28, `${perSecond}/s`);
});

test('answers that are late one at a time, with nothing beside them, say nothing about a queue', () => {
  let now = 0;
  const { door, limit } = alone(() => now, { targetMs: 100, lateMs: 750, first: 128, most: 256, least: 16 });
  for (; now < 600_000; now += 60_000) {
    door.take();
    now += 150;
    door.back(150);
  }
  assert.equal(limit(), 128);
});
