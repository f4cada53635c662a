/** The edge's certificate: read from files, and read again when they change, as whoever renews it leaves them. */
import { readFileSync, statSync } from 'node:fs';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import { SaccadeError } from '../../connectors/errors.ts';
import type { ProblemLog } from './problem.ts';

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Throws invalid_config naming the setting whose file cannot be read, or that they do not belong together. */
export function readCertificate({ cert, key }: TlsFiles): Pair {
  const pair = { cert: read('SACCADE_TLS_CERT', cert), key: read('SACCADE_TLS_KEY', key) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new SaccadeError('invalid_config', `SACCADE_TLS_CERT (${cert}) and SACCADE_TLS_KEY (${key}) cannot be used: ${(error as Error).message}.`, error);
  }
  return pair;
}

function read(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SaccadeError('invalid_config', `${setting} is '${path}', which cannot be read (${(error as NodeJS.ErrnoException).code}).`, error);
  }
}

const changedAt = (path: string): string => {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.ino}:${stat.mtimeMs}:${stat.size}` : '';
};

/**
 * Looks every `everyMs` and gives the server what is new; connections that are open keep what they began with. Polled: the
 * files are often links that are swapped, of which a watcher sees nothing. Answers how to end it.
 */
export function keepCertificate(server: Server, files: TlsFiles, log: ProblemLog & { info?(fields: object, message: string): void }, everyMs = 5_000): () => void {
  const mark = (): string => changedAt(files.cert) + changedAt(files.key);
  let seen = mark();
  const timer = setInterval(() => {
    const now = mark();
    if (now === seen) return;
    try {
      server.setSecureContext(readCertificate(files));
      seen = now;
      log.info?.({}, 'the certificate was renewed');
    } catch (error) {
      // Half written, most likely: the old one serves until both fit.
      log.warn({ error: (error as Error).message }, 'the certificate has changed and cannot be used; the one before it stays');
      seen = now;
    }
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
