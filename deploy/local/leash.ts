/** A child process that ends when this one does, however this one ends (leash.sh says how), and says so when it dies by itself. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../../connectors/errors.ts';
import { identify, isAlive, type ProcessId } from './process-birth.ts';

const leash = fileURLToPath(new URL('./leash.sh', import.meta.url));
/** After SIGTERM, before SIGKILL, in seconds. */
const graceSeconds = 10;
const keptLogBytes = 10_000_000;

export interface LeashedOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Holds the child's log, NAME.log, and its pid, NAME.pid. */
  readonly folder: string;
}

export interface Leashed {
  readonly name: string;
  /** Of the command itself, not of the leash. */
  readonly pid: number;
  readonly logFile: string;
  /** Resolves with a sentence once the child has ended, asked to or not. */
  readonly ended: Promise<string>;
  hasEnded(): boolean;
  /** SIGTERM, then SIGKILL after a limit. Resolves when the child is gone. */
  stop(): Promise<void>;
}

/** Starts the command. Throws server_unavailable when it cannot be started. */
export async function startLeashed(options: LeashedOptions): Promise<Leashed> {
  const { name, folder } = options;
  mkdirSync(folder, { recursive: true });
  const pidFile = join(folder, `${name}.pid`);
  await endEarlier(pidFile);
  const logFile = join(folder, `${name}.log`);
  if (existsSync(logFile) && statSync(logFile).size > keptLogBytes) renameSync(logFile, `${logFile}.1`);
  const log = openSync(logFile, 'a');
  const child = spawn('/bin/sh', [leash, String(graceSeconds), options.command, ...options.args], {
    cwd: dirname(logFile),
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['ignore', log, log, 'pipe', 'pipe'],
  });
  closeSync(log);
  let over = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`${name} could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(`${name} ended with ${signal ?? `code ${code}`}; its log is ${logFile}`));
  }).then((how) => {
    over = true;
    rmSync(pidFile, { force: true });
    return how;
  });
  const pid = await Promise.race([reportedPid(child), ended]);
  if (typeof pid !== 'number') throw new SaccadeError('server_unavailable', pid);
  if (!over) writeFileSync(pidFile, JSON.stringify(identify(pid)));
  return { name, pid, logFile, ended, hasEnded: () => over, stop: () => stop(child, ended) };
}

function reportedPid(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    let said = '';
    child.stdio[4]?.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
      if (said.endsWith('\n')) resolve(Number(said));
    });
  });
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const limit = setTimeout(() => {
    try {
      // The whole group: the leash, its watcher and the command.
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      // gone in the meantime
    }
  }, graceSeconds * 1000);
  await ended;
  clearTimeout(limit);
}

/** Ends what an earlier owner of the folder has left: it may still be shutting down, and two on one folder would spoil it. */
async function endEarlier(pidFile: string): Promise<void> {
  let earlier: ProcessId;
  try {
    earlier = JSON.parse(readFileSync(pidFile, 'utf8')) as ProcessId;
  } catch {
    return;
  }
  for (let waited = 0; isAlive(earlier); waited += 100) {
    if (waited === 0) process.kill(earlier.pid, 'SIGTERM');
    if (waited === graceSeconds * 1000) process.kill(earlier.pid, 'SIGKILL');
    if (waited > graceSeconds * 2000) {
      throw new SaccadeError('server_unavailable', `process ${earlier.pid}, left by an earlier run, does not end (${pidFile})`);
    }
    await sleep(100);
  }
  rmSync(pidFile, { force: true });
}
