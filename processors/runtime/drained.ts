/** Waits for the group of a step to have finished what lies in its topic. */
import type { Log } from '../../connectors/ports.ts';
import { unfinished } from './lag.ts';
import type { Step } from './wiring.ts';

/** Records in the topic of the step that its group has still to finish. Throws log_unavailable. */
export async function backlog(log: Log, { group, from: topic }: Pick<Step, 'group' | 'from'>): Promise<number> {
  return (await unfinished(log, group, topic)).reduce((sum, { from, end }) => sum + Math.max(0, end - from), 0);
}

/**
 * Answers true once the group has finished all that lay in the topic at the call; false where `wait`, which is told how much of it is
 * left, says that nobody waits for it any more. Throws log_unavailable.
 */
export async function drained(log: Log, { group, from: topic }: Step, wait: (left: number) => Promise<boolean>): Promise<boolean> {
  let ends: ReadonlyMap<number, number> | null = null;
  for (;;) {
    const left = await unfinished(log, group, topic);
    ends ??= new Map(left.map(({ partition, end }) => [partition, end]));
    // One that was added later held nothing then.
    const records = left.reduce((sum, { partition, from }) => sum + Math.max(0, (ends!.get(partition) ?? 0) - from), 0);
    if (records === 0) return true;
    if (!(await wait(records))) return false;
  }
}
