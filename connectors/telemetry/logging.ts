/** Structured logs by pino: JSON lines in a file of the data folder, or on stdout where something collects them. */
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import pino, { type Logger } from 'pino';

const rotateAtBytes = 10 * 1024 * 1024;

/** A file that has grown is put aside at start; a collector is the answer for more. */
function rotate(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > rotateAtBytes) renameSync(path, `${path}.1`);
}

/** Warnings a person at the terminal should see, one short line each. */
function terminalStream() {
  return {
    write(line: string) {
      const { time, stage, msg, error, code, detail } = JSON.parse(line) as Record<string, string>;
      const clock = new Date(time!).toISOString().slice(11, 19);
      const about = [code, detail ?? error].filter(Boolean).join(': ').slice(0, 200);
      process.stderr.write(`${clock} ${stage ? `${stage}: ` : ''}${msg}${about ? ` (${about})` : ''}\n`);
    },
  };
}

export function createLogger(options: { readonly to: 'file' | 'stdout'; readonly level: string; readonly path: string }): Logger {
  const base = { level: options.level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  if (options.to === 'stdout') return pino(base);
  mkdirSync(dirname(options.path), { recursive: true });
  rotate(options.path);
  // Synchronous: few lines are written, and the last ones before a crash are the ones that matter.
  const file = pino.destination({ dest: options.path, sync: true });
  return pino(
    base,
    pino.multistream([
      { level: options.level as pino.Level, stream: file },
      { level: 'warn', stream: terminalStream() },
    ]),
  );
}
