/** What a bench takes is said when it is asked, and the bench is not begun. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { allHelp, benchHelp } from '../loadtest/help.ts';

const bench = (...argv: readonly string[]) => spawnSync(process.execPath, ['--import', 'tsx', 'loadtest/main.ts', ...argv], { encoding: 'utf8' });

test('each bench has its own help, and all of them that of all', () => {
  const one = bench('stream', '--rounds', '2', '--help');
  assert.equal(one.status, 0, one.stderr);
  assert.equal(one.stdout, `npm run bench -- stream [options]\n${benchHelp.stream}`);
  const all = bench('--help');
  assert.deepEqual([all.status, all.stdout], [0, allHelp]);
  const none = bench('toString', '--help');
  assert.equal(none.status, 2);
  assert.match(none.stderr, /no bench is called toString/);
  for (const [name, text] of Object.entries(benchHelp)) assert.ok(text.startsWith(`\n  ${name}`), name);
});
