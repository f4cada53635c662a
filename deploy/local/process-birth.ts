/** Whether a pid written down earlier still means the same process: pids are used again, a pid with its time of birth is not. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessId {
  readonly pid: number;
  /** When the process was born, in the system's own notation; null where the system does not tell. */
  readonly birth: string | null;
}

/** The birth of a living process; null when there is none, or when the system does not tell. */
export function birthOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in brackets, may hold spaces: count from behind it. Field 3 is the state, 22 the start in ticks.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    if (process.platform === 'linux') return null;
  }
  const said = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return said.stdout?.trim() || null;
}

export const identify = (pid: number): ProcessId => ({ pid, birth: birthOf(pid) });

export function isAlive({ pid, birth }: ProcessId): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = birthOf(pid);
  if (now === null) return process.platform !== 'linux' && birth === null;
  return birth === null || now === birth;
}
