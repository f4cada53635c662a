/** A process that simulates the seeds it is given, one after the other. */
import { allBroken } from './broken/all.ts';
import { simulate, type Verdict } from './simulate.ts';

export interface Job {
  readonly seeds: readonly number[];
  readonly broken: string | null;
  readonly toTheEnd: boolean;
}

export type Answer = { readonly verdict: Verdict } | { readonly done: true };

const answer = (what: Answer): void => void process.send?.(what);

async function work({ seeds, broken: name, toTheEnd }: Job): Promise<void> {
  const broken = allBroken.find((one) => one.name === name);
  for (const seed of seeds) answer({ verdict: await simulate(seed, { toTheEnd, ...(broken ? { broken } : {}) }) });
  answer({ done: true });
}

process.on('message', (job: Job) => void work(job));
// Whoever asked is gone.
process.on('disconnect', () => process.exit(0));
