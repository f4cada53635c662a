/** A log file of a child, a line at a time, that does not fill the disk over the years. */
import { appendFileSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Appends each line with its time. Above `maxBytes` the file is begun anew, here at the start and never in between. */
export function lineLog(file: string, maxBytes = 10 * 1024 * 1024): (line: string) => void {
  mkdirSync(dirname(file), { recursive: true });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > maxBytes) rmSync(file);
  return (line) => {
    try {
      appendFileSync(file, `${new Date().toISOString()} ${line}\n`);
    } catch {
      // A full disk loses the child's words; the child itself has more important things to say about that.
    }
  };
}
