import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { startWorkerThread } from '../processors/infer/worker-thread.ts';

/** Niceness of each thread of this process, as the kernel has it. */
function niceness(): number[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
    // After the name, which may hold anything: state is the first field, niceness the 17th.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
}

test('a thread that infers lets the others of its process go first, and them alone', { skip: process.platform === 'linux' ? false : 'only Linux has a priority for each thread' }, async () => {
  const usual = getPriority();
  assert.ok(niceness().every((nice) => nice === usual));
  const worker = await startWorkerThread(new URL('../processors/infer/worker-entry.mjs', import.meta.url), () => {});
  try {
    assert.equal(niceness().filter((nice) => nice === Math.min(19, usual + 5)).length, 1);
    assert.equal(getPriority(), usual);
  } finally {
    await worker.close();
  }
});
