/** A thread that computes lets those go first that hand work on: they are short, and without them it has nothing to compute. */
import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

const lowest = 19;

/** Raises the niceness of the thread that calls by so much. Only Linux has one for each thread; elsewhere it does nothing, as where it is not allowed. */
export function giveWay(by: number): void {
  if (process.platform !== 'linux') return;
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(thread, Math.min(lowest, getPriority(thread) + by));
  } catch {
    // It computes all the same.
  }
}
