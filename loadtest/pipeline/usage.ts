/** What a run costs, as the machine tells it (Linux). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** The kernel's clock ticks in a second, as seen from outside it: 100 on every Linux platform Node runs on. */
const ticks = 100;

/** CPU seconds of a process and its threads so far; NaN where there is no /proc. */
export function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the name, may hold spaces; the times are the 14th and 15th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticks;
  } catch {
    return Number.NaN;
  }
}

/** CPU seconds of all processes of the machine since it was started; NaN where there is no /proc. */
function machineSeconds(): number {
  try {
    const [user, nice, system, _idle, _waiting, hard, soft] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1).map(Number);
    return (user! + nice! + system! + hard! + soft!) / ticks;
  } catch {
    return Number.NaN;
  }
}

/** What `seconds` of the machine's processors were used for, from now until it is asked. */
export function machineUse(): (seconds: number) => { readonly ours: number; readonly all: number } {
  const [startedAt, before] = [performance.now(), machineSeconds()];
  return (seconds) => {
    const had = ((performance.now() - startedAt) / 1000) * availableParallelism();
    return { ours: seconds / had, all: (machineSeconds() - before) / had };
  };
}

/** Bytes a broker's folder holds of each topic, its records' overhead and compression included. */
export function topicBytes(folder: string): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const topic = /\/([^/]+)-\d+$/.exec(entry.parentPath)?.[1];
    if (!topic || !entry.name.endsWith('.log')) continue;
    sizes[topic] = (sizes[topic] ?? 0) + statSync(join(entry.parentPath, entry.name)).size;
  }
  return sizes;
}
