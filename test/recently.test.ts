/** How often something happened of late, on a clock of the test's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recently } from '../processors/edge/recently.ts';

test('what happens evenly is counted as it is, what has stopped is forgotten within two spans', () => {
  let now = 50;
  const count = recently({ now: () => now }, 1_000);
  for (; now < 5_050; now += 10) {
    count.add();
    if (now >= 1_050) assert.ok(Math.abs(count.count() - 100) <= 1, `${count.count()} at ${now}`);
  }
  now += 500;
  assert.equal(count.count(), 50);
  now += 500;
  assert.equal(count.count(), 0);
});

test('after a silence, and after a clock that was set back, nothing is left of what was before', () => {
  let now = 100_000;
  const count = recently({ now: () => now }, 1_000);
  count.add();
  for (const then of [200_000, 3_000]) {
    now = then;
    assert.equal(count.count(), 0);
    count.add();
    assert.equal(count.count(), 1);
  }
});
