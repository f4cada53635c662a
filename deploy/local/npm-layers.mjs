/** The processes that npm puts between a person and a script (npm itself, a shell): their end is meant to be ours too. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { alive } from './alive.mjs';

/** Calls `gone` once when one of them has ended. Does nothing when this process was not started by npm. */
export function watchNpmLayers(gone) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const above = parentOf(parent);
  // npm starts the script in a shell. What is above npm may well end first: a terminal, or a script that put npm in the background.
  const layers = isShell(above.name) && above.parent > 1 ? [above.parent] : [];
  const timer = setInterval(() => {
    if (process.ppid === parent && layers.every(alive)) return;
    clearInterval(timer);
    gone();
  }, 500);
  timer.unref();
}

const isShell = (name) => /^-?(ba|da|z|k)?sh$/.test(name);

/** The process's name and its parent. */
function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    return { name: stat.slice(stat.indexOf('(') + 1, end), parent: Number(stat.slice(end + 2).split(' ')[1]) };
  } catch {
    const said = spawnSync('ps', ['-o', 'ppid=,comm=', '-p', String(pid)], { encoding: 'utf8' });
    const [, parent, name] = /^\s*(\d+)\s+(.*)$/.exec(said.stdout?.trim() ?? '') ?? [];
    return { name: name?.split('/').at(-1) ?? '', parent: Number(parent ?? 0) };
  }
}
