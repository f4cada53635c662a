/** Structured logs by pino: JSON lines in a file of the data folder, or on stdout where something collects them. */
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import pino, { type Logger } from 'pino';

/** Fields whose whole value is a credential. */
const credentials = ['authorization', 'cookie', 'set-cookie', 'x-api-key', 'x-clickhouse-key', 'saccade-otp', 'password', 'secret', 'ticket'];
const redact = { paths: credentials.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]), censor: '…' };

/**
 * A line without what lets anybody in: keys (their id stays, which says whose), signed tokens and tickets, logins of URLs.
 * The last wall behind the fields above: an error's message may hold anything.
 */
export const withoutSecrets = (line: string): string =>
  line
    .replaceAll(/sac_([a-z0-9]{16})_[A-Za-z0-9_-]{43}/g, 'sac_$1_…')
    .replaceAll(/\bey[A-Za-z0-9_-]{6,}(\.[A-Za-z0-9_-]+){1,2}/g, '…')
    .replaceAll(/\b(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}/g, '$1 …')
    .replaceAll(/:\/\/[^\s"/@]*:[^\s"/@]*@/g, '://…@');

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

function cleaned(stream: { write(line: string): unknown; flushSync?(): void }): { write(line: string): void; flushSync(): void } {
  return { write: (line) => void stream.write(withoutSecrets(line)), flushSync: () => stream.flushSync?.() };
}

export function createLogger(options: { readonly to: 'file' | 'stdout'; readonly level: string; readonly path: string }): Logger {
  const base = { level: options.level, redact, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  if (options.to === 'stdout') return pino(base, cleaned(pino.destination({ dest: 1, sync: true })));
  mkdirSync(dirname(options.path), { recursive: true });
  rotate(options.path);
  // Synchronous: few lines are written, and the last ones before a crash are the ones that matter.
  const file = pino.destination({ dest: options.path, sync: true });
  return pino(
    base,
    pino.multistream([
      { level: options.level as pino.Level, stream: cleaned(file) },
      { level: 'warn', stream: cleaned(terminalStream()) },
    ]),
  );
}
