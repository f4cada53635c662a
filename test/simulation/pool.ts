/** Simulates many seeds, in as many processes as there are processors. */
import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Verdict } from './simulate.ts';
import type { Job } from './worker.ts';

export interface Seeds {
  readonly first: number;
  readonly count: number;
  readonly broken?: string | null;
  readonly toTheEnd?: boolean;
  /** Told of each; answers false to start no more. */
  told(verdict: Verdict): boolean;
}

export interface Pool {
  /** Resolves when all are done. Throws internal when a process ends by itself. */
  simulate(seeds: Seeds): Promise<void>;
  close(): void;
}

export function createPool(): Pool {
  const workers = Array.from({ length: availableParallelism() }, () =>
    fork(new URL('./worker.ts', import.meta.url), { execArgv: ['--import', import.meta.resolve('tsx')] }),
  );

  return {
    async simulate({ first, count, broken = null, toTheEnd = false, told }) {
      let next = first;
      let wanted = true;
      await Promise.all(
        workers.map(async (worker) => {
          while (wanted && next < first + count) {
            const seed = next;
            next += 1;
            const verdict = await ask(worker, { seed, broken, toTheEnd });
            wanted = told(verdict) && wanted;
          }
        }),
      );
    },
    close() {
      for (const worker of workers) if (worker.connected) worker.disconnect();
    },
  };
}

function ask(worker: ChildProcess, job: Job): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null): void =>
      reject(new SaccadeError('internal', `The process that simulated seed ${job.seed} ended: ${signal ?? code}.`));
    worker.once('exit', ended);
    worker.once('message', (verdict: Verdict) => {
      worker.off('exit', ended);
      resolve(verdict);
    });
    worker.send(job);
  });
}
