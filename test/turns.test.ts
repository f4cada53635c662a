import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnsByTenant } from '../processors/sql/turns.ts';

test('a tenant that asks much, or does not read, keeps back its own questions alone; who waits too long a line is refused', async () => {
  const turn = turnsByTenant(2, 2);
  const { signal } = new AbortController();
  const [one, two] = [await turn('a', signal), await turn('a', signal)];
  one.ran();
  two.ran();
  let third = 0;
  const more = [turn('a', signal), turn('a', signal)].map((waiting) => waiting.then((held) => (third++, held)));
  await assert.rejects(turn('a', signal), { code: 'overloaded' });
  // Neither of a's answers has been read, and b is served all the same.
  const [other, last] = [await turn('b', signal), await turn('b', signal)];
  assert.equal(third, 0);
  one.read();
  await new Promise(setImmediate);
  assert.equal(third, 0, 'the engine is at the questions of b');
  other.ran();
  const next = await more[0]!;
  assert.equal(third, 1);
  two.read();
  last.read();
  other.read();
  await more[1]!;
  next.read();
  next.read();
});

test('who leaves the line makes room in both', async () => {
  const turn = turnsByTenant(1, 1);
  const { signal } = new AbortController();
  const held = await turn('a', signal);
  const leaving = new AbortController();
  const waits = turn('b', leaving.signal);
  await assert.rejects(Promise.all([waits, Promise.resolve().then(() => leaving.abort())]), { code: 'bad_request' });
  const again = turn('b', signal);
  held.read();
  (await again).read();
  (await turn('a', signal)).read();
});
