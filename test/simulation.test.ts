import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { allBroken } from './simulation/broken/all.ts';
import { allInvariants, runInvariants } from './simulation/invariants/all.ts';
import type { Evidence } from './simulation/invariants/invariant.ts';
import { createPool } from './simulation/pool.ts';
import { simulate, type Verdict } from './simulation/simulate.ts';

const root = join(import.meta.dirname, '..');

const simulateCommand = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', 'test/simulation/main.ts', ...args], { cwd: root, encoding: 'utf8' });

async function scheduleOf(seed: number): Promise<{ lines: string[]; verdict: Verdict }> {
  const lines: string[] = [];
  const verdict = await simulate(seed, { schedule: (at, who, what) => void lines.push(`${at} ${who} ${what}`) });
  return { lines, verdict };
}

describe('the whole topology under simulated faults', () => {
  const pool = createPool();
  after(() => pool.close());

  test('a handful of seeds: every invariant holds, with crashes and rebalances in plenty', async () => {
    const verdicts: Verdict[] = [];
    await pool.simulate({ first: 1, count: 24, told: (verdict) => verdicts.push(verdict) > 0 });
    assert.deepEqual(verdicts.filter(({ violations }) => violations.length > 0).map(({ seed, violations }) => ({ seed, violations })), []);
    assert.equal(verdicts.length, 24);
    assert.ok(verdicts.reduce((sum, { crashes }) => sum + crashes, 0) >= 24, 'too few crashes to prove anything');
    assert.ok(verdicts.reduce((sum, { rebalances }) => sum + rebalances, 0) >= 240, 'too few rebalances to prove anything');
  });

  test('a seed replays exactly, here and in another process; another seed does not', async () => {
    const once = await scheduleOf(3);
    const again = await scheduleOf(3);
    assert.ok(once.lines.length > 100);
    assert.deepEqual(again, once);
    const elsewhere: Verdict[] = [];
    await pool.simulate({ first: 3, count: 1, told: (verdict) => elsewhere.push(verdict) > 0 });
    assert.deepEqual(elsewhere, [once.verdict]);
    assert.notEqual((await scheduleOf(4)).verdict.fingerprint, once.verdict.fingerprint);
  });

  test('a failing seed prints its schedule, what broke and how to replay it', () => {
    const { status, stdout } = simulateCommand('--seeds', '1', '--first', '2', '--broken', 'commit-before-send');
    assert.equal(status, 1);
    assert.match(stdout, /^ +\d+\.\d{4} s {2}\S+ +starts /m);
    // Which of its sins shows first is the seed's to say.
    assert.match(stdout, /^VIOLATED (commit-after-results|dead-letters) at \d+\.\d{4} s: saccade\.\S+ .+$/m);
    assert.match(stdout, /^replay: {2}npm run simulate -- --seeds 1 --first 2 --broken commit-before-send$/m);
    const last: unknown = JSON.parse(stdout.trim().split('\n').at(-1)!);
    assert.deepEqual(Object.keys(last as object), ['seeds', 'failed', 'seconds', 'crashes', 'rebalances']);
  });

  test('nonsense is refused by name', () => {
    const wrong = simulateCommand('--seeds', 'many');
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /--seeds is 'many'/);
    const unknown = simulateCommand('--broken', 'nobody');
    assert.equal(unknown.status, 2);
    assert.match(unknown.stdout, /commit-before-send/);
  });

  describe('it can fail', () => {
    test('each invariant has a broken runtime that it is there to catch', () => {
      const names = [...allInvariants({} as Evidence).map(({ name }) => name), ...runInvariants];
      assert.deepEqual([...new Set(allBroken.flatMap(({ breaks }) => breaks))].sort(), names.sort());
    });

    for (const { name, sentence, breaks } of allBroken) {
      test(`${name}: ${sentence}`, async () => {
        const caughtBy = new Set<string>();
        const hit = () => breaks.some((invariant) => caughtBy.has(invariant));
        await pool.simulate({
          first: 1,
          count: 200,
          broken: name,
          toTheEnd: true,
          told({ violations }) {
            for (const { invariant } of violations) caughtBy.add(invariant);
            return !hit();
          },
        });
        assert.ok(hit(), `200 seeds, caught only by ${[...caughtBy].join(', ') || 'nothing'}`);
      });
    }
  });
});
