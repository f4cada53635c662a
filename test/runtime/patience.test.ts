import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SaccadeError } from '../../connectors/errors.ts';
import { patiently } from '../../processors/runtime/patience.ts';
import { jumpingClock } from '../support/camera.ts';

const away = new SaccadeError('log_unavailable', 'refused');

test('an engine that is away at the start is waited for, and that is said once', async () => {
  const clock = jumpingClock();
  const said: string[] = [];
  let tries = 0;
  const attempt = async (): Promise<string> => {
    tries += 1;
    if (tries < 5) throw away;
    return 'there';
  };
  assert.equal(await patiently(attempt, { clock, say: (line) => void said.push(line) }), 'there');
  assert.equal(clock.slept.length, 4);
  assert.ok(clock.slept.every((ms) => ms >= 100), 'no hot loop');
  assert.equal(said.length, 1);
  assert.match(said[0]!, /60 s.*refused/);
});

test('what stays away for longer than the limit is thrown', async () => {
  const clock = jumpingClock();
  await assert.rejects(patiently(() => Promise.reject(away), { clock, say: () => {}, limitMs: 10_000 }), away);
  assert.ok(clock.slept.reduce((sum, ms) => sum + ms, 0) >= 10_000);
});

test('what no waiting mends is thrown at once', async () => {
  const clock = jumpingClock();
  for (const error of [new SaccadeError('invalid_config'), new SaccadeError('incompatible_schema'), new TypeError('x')]) {
    await assert.rejects(patiently(() => Promise.reject(error), { clock, say: () => {} }), error);
  }
  assert.deepEqual(clock.slept, []);
});
