/** One stage as a process of its own, restarted about a second after it died, as an orchestrator does. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../../../connectors/errors.ts';
import { startLeashed, type Leashed } from '../../../deploy/local/leash.ts';

const main = fileURLToPath(new URL('../../../processors/main.ts', import.meta.url));
const restartAfterMs = 1_000;
const readyWithinMs = 240_000;

export interface Member {
  readonly name: string;
  /** Resolves when it has said that it is ready for the first time. Throws engine_unavailable with its last words. */
  ready(): Promise<void>;
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
  /** Resolves when a process runs that is not the one that ran at the time of the call. */
  restarted(): Promise<void>;
  /** SIGTERM, and no restart. */
  stop(): Promise<void>;
  /** SIGKILL, and no restart. */
  end(): Promise<void>;
}

export interface MemberOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** Told when it ended though nobody here had killed it. */
  readonly ended: (how: string) => void;
}

export async function startMember({ name, args, env, folder, ended }: MemberOptions): Promise<Member> {
  let leaving = false;
  let killed = false;
  let restarts = 0;
  const launch = (): Promise<Leashed> =>
    startLeashed({ name, folder, command: process.execPath, args: ['--import', import.meta.resolve('tsx'), main, ...args], env });
  let current = await launch();
  const supervision = supervise();

  async function supervise(): Promise<void> {
    while (!leaving) {
      const how = await current.ended;
      if (leaving) return;
      if (!killed) ended(how);
      await sleep(restartAfterMs);
      if (leaving) return;
      current = await launch();
      killed = false;
      restarts += 1;
    }
  }

  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(current.pid, signal);
    } catch {
      // It has just died by itself: the supervisor sees to it.
    }
  };

  return {
    name,
    async ready() {
      for (const until = Date.now() + readyWithinMs; !words(current).includes('ready after'); await sleep(200)) {
        if (Date.now() > until) throw new SaccadeError('engine_unavailable', `${name} was not ready within ${readyWithinMs / 1000} s:\n${words(current).slice(-2000)}`);
      }
    },
    signal(signal) {
      if (signal === 'SIGKILL') killed = true;
      send(signal);
    },
    async restarted() {
      for (const before = restarts; restarts === before && !leaving; ) await sleep(20);
    },
    async stop() {
      leaving = true;
      send('SIGCONT');
      await current.stop();
      await supervision;
    },
    async end() {
      leaving = true;
      send('SIGKILL');
      await current.ended;
      await supervision;
    },
  };
}

const words = ({ logFile }: Leashed): string => readFileSync(logFile, 'utf8');
