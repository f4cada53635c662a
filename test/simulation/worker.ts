/** A process that simulates the seeds it is given, one after the other. */
import { allBroken } from './broken/all.ts';
import { simulate } from './simulate.ts';

export interface Job {
  readonly seed: number;
  readonly broken: string | null;
  readonly toTheEnd: boolean;
}

process.on('message', async ({ seed, broken: name, toTheEnd }: Job) => {
  const broken = allBroken.find((one) => one.name === name);
  process.send?.(await simulate(seed, { toTheEnd, ...(broken ? { broken } : {}) }));
});
// Whoever asked is gone.
process.on('disconnect', () => process.exit(0));
