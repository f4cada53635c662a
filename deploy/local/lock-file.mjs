/** A lock for work that several processes would do at once. Plain JavaScript because jars.mjs is. */
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { alive } from './alive.mjs';

const touchEveryMs = 5_000;
/** A lock not touched for so long is void, whoever has its pid by now: pids are used again, most of all in containers. */
const voidAfterMs = 60_000;

export async function lockFile(file, say) {
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    for (let waits = 0; ; waits += 1) {
      try {
        // A link appears with its content: nobody ever reads a lock that names no process yet.
        linkSync(mine, file);
        return hold(file);
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const holder = liveHolder(file);
      if (holder === null) setAside(file, mine);
      else if (waits === 0) say(`waiting for process ${holder}, which has ${file}`);
      await sleep(200);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

function hold(file) {
  const touch = setInterval(() => {
    try {
      utimesSync(file, new Date(), new Date());
    } catch {
      // Taken away: what it protects has a second check of its own.
    }
  }, touchEveryMs);
  touch.unref();
  return () => {
    clearInterval(touch);
    rmSync(file, { force: true });
  };
}

/** The pid of the process that has the lock; null when the lock is void or gone. */
function liveHolder(file) {
  try {
    if (Date.now() - statSync(file).mtimeMs > voidAfterMs) return null;
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 0 && alive(pid) ? pid : null;
  } catch {
    return null;
  }
}

/** Removes a void lock, but gives back one that another process has taken in the meantime. */
function setAside(file, mine) {
  const aside = `${mine}.void`;
  try {
    renameSync(file, aside);
    if (liveHolder(aside) !== null) linkSync(aside, file);
  } catch {
    // another process was quicker
  }
  rmSync(aside, { force: true });
}
