/** Starts the embedded ClickHouse in a process of its own, and starts it again if it dies. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../errors.ts';
import { threads } from './pool.ts';

export interface ChdbOptions {
  /** Belongs to the engine alone; made if it is not there. */
  readonly dataDir: string;
  /** Default: a free one. It stays the same over restarts. */
  readonly port?: number;
  /** What the child writes to its standard error, and what becomes of it, a line at a time. */
  readonly log?: (line: string) => void;
}

export interface Chdb {
  readonly url: string;
  /** Of the child that runs at present. */
  readonly pid: number;
  /** Ends the child with its folder closed. */
  stop(): Promise<void>;
  /** Resolves when no child runs and none will be started: null after `stop`, else why it was given up. */
  readonly ended: Promise<Error | null>;
}

const readyWithinMs = 60_000;
const killAfterMs = 10_000;
/** A child that dies this often without having come up in between is not started again. */
const givenUpAfter = 5;

/** Resolves when it answers. Throws store_unavailable with the child's own words, such as that the folder has an owner already. */
export async function startChdb({ dataDir, port = 0, log = () => {} }: ChdbOptions): Promise<Chdb> {
  const stopping = new AbortController();
  let end!: (why: Error | null) => void;
  const ended = new Promise<Error | null>((resolve) => (end = resolve));
  const first = await launch(dataDir, port, log);
  const { url } = first;
  let child = first.child;
  let restarting: Promise<void> = Promise.resolve();
  watch(child);

  return {
    url,
    ended,
    get pid() {
      return child.pid!;
    },
    async stop() {
      stopping.abort();
      // A child on its way up has the folder already, and would keep it from the next start.
      await restarting;
      await stopChild(child);
      end(null);
    },
  };

  function watch(of: ChildProcess): void {
    of.once('exit', (code, signal) => {
      if (stopping.signal.aborted) return;
      log(`the embedded ClickHouse ended (${signal ?? `exit code ${code}`}); starting it again`);
      restarting = restart();
    });
  }

  async function restart(): Promise<void> {
    for (let failures = 1; !stopping.signal.aborted; failures++) {
      try {
        const next = await launch(dataDir, Number(new URL(url).port), log);
        child = next.child;
        if (stopping.signal.aborted) return await stopChild(child);
        return watch(child);
      } catch (error) {
        log(`the embedded ClickHouse did not come back: ${(error as Error).message}`);
        if (failures >= givenUpAfter) return end(error as Error);
        await sleep(200 * 2 ** failures, undefined, { signal: stopping.signal }).catch(() => {});
      }
    }
  }
}

async function launch(dataDir: string, port: number, log: (line: string) => void): Promise<{ child: ChildProcess; url: string }> {
  const server = fileURLToPath(new URL('./server.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), server, '--data', dataDir, '--port', `${port}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C in a terminal must not end it before the sink has written its last batch.
    detached: true,
    env: { ...process.env, UV_THREADPOOL_SIZE: `${threads}`, NODE_OPTIONS: '' },
  });
  // Written to by nobody: it only tells the child, by closing, that this process is gone.
  child.stdin!.on('error', () => {});
  const said: string[] = [];
  createInterface(child.stderr!).on('line', (line) => {
    said.push(line);
    if (said.length > 20) said.shift();
    log(line);
  });

  let timer: NodeJS.Timeout | undefined;
  try {
    const ready = await new Promise<string>((resolve, reject) => {
      const fail = (why: string): void => reject(new SaccadeError('store_unavailable', [why, ...said].join('\n')));
      timer = setTimeout(() => fail(`the embedded ClickHouse was not ready within ${readyWithinMs / 1000} s`), readyWithinMs);
      createInterface(child.stdout!).once('line', resolve);
      child.once('error', (error) => fail(`the embedded ClickHouse could not be started: ${error.message}`));
      // Not 'exit': its last words may still be in the pipe then.
      child.once('close', (code, signal) => fail(`the embedded ClickHouse ended at once (${signal ?? `exit code ${code}`})`));
    });
    return { child, url: (JSON.parse(ready) as { url: string }).url };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.stdin!.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  await gone;
  clearTimeout(timer);
}
