/** The embedded PostgreSQL of a data folder: started here, or found where another process has started it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../../connectors/errors.ts';
import { lockFolder } from './folder-lock.ts';
import { startLeashed } from './leash.ts';
import { choosePorts } from './ports.ts';

export interface LocalPostgres {
  /** With its login: not for logs. */
  readonly url: string;
  /** Resolves when it has died without being asked to; stays pending otherwise. */
  readonly died: Promise<Error>;
  /** Null where another process started it. */
  readonly pid: number | null;
  stop(): Promise<void>;
}

/** A pipeline stays, so that others may use its database; a command is gone in a moment. */
export type Purpose = 'pipeline' | 'command';

interface Address {
  readonly port: number;
  readonly password: string;
  readonly purpose: Purpose;
}

const server = fileURLToPath(new URL('../../connectors/pglite/server.ts', import.meta.url));
/** The first start makes the whole database, on a machine that starts much else at the same time. */
const readyWithinMs = 120_000;

/** `folder` is its own alone, made if it is not there. Throws metadata_unavailable. */
export async function startPostgres(folder: string, purpose: Purpose): Promise<LocalPostgres> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const within = AbortSignal.timeout(readyWithinMs);
  for (;;) {
    const unlock = tryLock(folder);
    if (unlock) return start(folder, purpose, unlock, within);
    const there = read(folder);
    if (there?.purpose === 'pipeline' && (await listens(there.port))) return { url: urlOf(there), died: new Promise(() => {}), pid: null, stop: async () => {} };
    if (within.aborted) throw new SaccadeError('metadata_unavailable', `The database in ${folder} has another owner, and did not come up.`);
    await sleep(200);
  }
}

async function start(folder: string, purpose: Purpose, unlock: () => void, within: AbortSignal): Promise<LocalPostgres> {
  try {
    const { postgres: port } = await choosePorts(join(folder, 'ports.json'), ['postgres']);
    const address: Address = { port, password: randomBytes(24).toString('base64url'), purpose };
    const child = await startLeashed({
      name: 'postgres',
      command: process.execPath,
      args: ['--import', import.meta.resolve('tsx'), server, '--data', join(folder, 'data'), '--port', `${port}`],
      env: { SACCADE_PGLITE_PASSWORD: address.password, NODE_OPTIONS: '' },
      folder,
    });
    while (!(await listens(port))) {
      if (child.hasEnded()) throw new SaccadeError('metadata_unavailable', await child.ended);
      if (within.aborted) {
        await child.stop();
        throw new SaccadeError('metadata_unavailable', `The embedded PostgreSQL was not ready within ${readyWithinMs / 1000} s; its log is ${child.logFile}`);
      }
      await sleep(50);
    }
    write(folder, address);
    let stopping = false;
    return {
      url: urlOf(address),
      pid: child.pid,
      died: new Promise((resolve) => void child.ended.then((how) => stopping || resolve(new SaccadeError('metadata_unavailable', how)))),
      async stop() {
        stopping = true;
        await child.stop();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

function tryLock(folder: string): (() => void) | null {
  try {
    return lockFolder(folder);
  } catch (error) {
    if (error instanceof SaccadeError) return null;
    throw error;
  }
}

const addressFile = (folder: string): string => join(folder, 'address.json');
const urlOf = ({ port, password }: Address): string => `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;

/** Readable by its owner only: who reads it may do everything. */
function write(folder: string, address: Address): void {
  const fresh = `${addressFile(folder)}.${process.pid}`;
  writeFileSync(fresh, JSON.stringify(address), { mode: 0o600 });
  renameSync(fresh, addressFile(folder));
}

function read(folder: string): Address | null {
  try {
    return JSON.parse(readFileSync(addressFile(folder), 'utf8')) as Address;
  } catch {
    return null;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => (socket.destroy(), resolve(true))).once('error', () => resolve(false));
  });
}
