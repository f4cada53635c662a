/**
 * Merges of the embedded ClickHouse let others go first. On a small machine one takes a processor for a tenth of a second and more, and
 * whatever is answered meanwhile is late by as much. Nobody waits for a merge; where there is nothing else to do it is as quick as before.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

const named = 'MergeMutate';
/** Of 19: a tenth of the share of those it competes with, which is several times what merges need. */
export const niceness = 10;
/** The engine starts such threads when there is a table to merge. */
const lookMs = 2_000;

/** From now on, for as long as the process lives. Only Linux has a niceness for each thread; elsewhere it does nothing. */
export function mergesGiveWay(): void {
  if (process.platform !== 'linux') return;
  setInterval(() => threadsOf().forEach(giveWay), lookMs).unref();
}

/** None where they are not shown: then a merge has its share as any. */
function threadsOf(): string[] {
  try {
    return readdirSync('/proc/self/task');
  } catch {
    return [];
  }
}

function giveWay(thread: string): void {
  try {
    if (readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim() === named) setPriority(Number(thread), niceness);
  } catch {
    // It has ended, or it is not allowed here: it merges all the same.
  }
}
