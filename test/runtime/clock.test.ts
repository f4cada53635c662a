import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { systemClock } from '../../processors/runtime/clock.ts';

const longMs = 600_000;

test('a wait ends by itself, and leaves nothing with its signal', async () => {
  const { signal } = new AbortController();
  await systemClock.sleep(1, signal);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a wait is cut short, once and without an error', async () => {
  const ending = new AbortController();
  const waits = [systemClock.sleep(longMs, ending.signal), systemClock.sleep(longMs, ending.signal)];
  ending.abort(null);
  await Promise.all(waits);
  assert.equal(getEventListeners(ending.signal, 'abort').length, 0);
  await systemClock.sleep(longMs, ending.signal);
});
