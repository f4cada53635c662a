/** CPU of a process and all that descend from it (Linux). */
import { readdirSync, readFileSync } from 'node:fs';
import { cpuSeconds } from '../pipeline/usage.ts';

/** Seconds so far; processes that have ended are not in it. */
export function familyCpuSeconds(pid: number): number {
  return family(pid).reduce((sum, each) => sum + (cpuSeconds(each) || 0), 0);
}

function family(head: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? parentOf(pid) : null;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const all = [head];
  for (const each of all) all.push(...(children.get(each) ?? []));
  return all;
}

function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}
