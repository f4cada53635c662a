/** Simulates many seeds, in as many processes as there are processors. */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Verdict } from './simulate.ts';
import type { Answer, Job } from './worker.ts';

export interface Batch {
  readonly first: number;
  readonly seeds: number;
  readonly broken: string | null;
  readonly toTheEnd?: boolean;
  /** Told of each; answers false to start no more. */
  told(verdict: Verdict): boolean;
}

const seedsPerJob = 4;

/** Resolves when all are done; rejects when a process fails. */
export async function simulateMany({ first, seeds, broken, toTheEnd = false, told }: Batch): Promise<void> {
  let next = first;
  let wanted = true;
  const processes = Math.max(1, Math.min(availableParallelism(), Math.ceil(seeds / seedsPerJob)));

  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = fork(new URL('./worker.ts', import.meta.url), { execArgv: ['--import', import.meta.resolve('tsx')] });
      const giveWork = (): void => {
        const count = Math.min(seedsPerJob, first + seeds - next);
        if (count <= 0 || !wanted) return worker.disconnect();
        worker.send({ seeds: Array.from({ length: count }, (_, i) => next + i), broken, toTheEnd } satisfies Job);
        next += count;
      };
      worker.on('error', reject);
      worker.on('exit', (code, signal) => (code === 0 ? resolve() : reject(new SaccadeError('internal', `A simulating process ended: ${signal ?? code}.`))));
      worker.on('message', (answer: Answer) => {
        if ('done' in answer) return giveWork();
        wanted = told(answer.verdict) && wanted;
      });
      giveWork();
    });

  await Promise.all(Array.from({ length: processes }, one));
}
