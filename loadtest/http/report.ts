/** Tables of what was measured, and the line of JSON. */
import type { Run } from './run.ts';

export interface Found {
  /** By service, a run for each round. */
  readonly contest: ReadonlyMap<string, readonly Run[]>;
  /** The same with one connection. */
  readonly alone: ReadonlyMap<string, readonly Run[]>;
  /** Images a second of the bare loop, by round. */
  readonly floor: readonly number[];
  readonly profiles: ReadonlyMap<string, Run>;
  readonly agreement: Readonly<Record<string, number>>;
  readonly given: { readonly seconds: number; readonly rounds: number; readonly connections: number };
}

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const of = (runs: readonly Run[], value: (run: Run) => number, digits = 1): number => round(median(runs.map(value)), digits);
const errorsOf = (runs: readonly Run[]): Record<string, number> => {
  const sum: Record<string, number> = {};
  for (const { errors } of runs) for (const [what, n] of Object.entries(errors)) sum[what] = (sum[what] ?? 0) + n;
  return sum;
};
const together = ({ cpuMs }: Run): number => Object.entries(cpuMs).reduce((sum, [name, ms]) => (name === 'client' ? sum : sum + ms), 0);

function row(runs: readonly Run[]) {
  const errors = errorsOf(runs);
  return {
    'a second': of(runs, (run) => run.perSecond),
    p50: of(runs, (run) => run.p50),
    p95: of(runs, (run) => run.p95),
    p99: of(runs, (run) => run.p99),
    errors: Object.values(errors).reduce((a, b) => a + b, 0),
    'CPU ms': of(runs, together, 2),
    'of the client': of(runs, ({ cpuMs }) => cpuMs.client!, 2),
    'client busy': of(runs, ({ client }) => client, 2),
  };
}

const cpuOf = (runs: readonly Run[]): Record<string, number> => Object.fromEntries(Object.keys(runs[0]!.cpuMs).map((name) => [name, of(runs, ({ cpuMs }) => cpuMs[name]!, 2)]));
const jsonOf = (runs: readonly Run[]) => ({ ...row(runs), per_second: runs.map(({ perSecond }) => round(perSecond)), p95_ms: runs.map(({ p95 }) => round(p95)), errors: errorsOf(runs), cpu_ms: cpuOf(runs) });

/** Of figures of the same round, since a machine's speed drifts. */
const ratios = (a: readonly number[], b: readonly number[]): number => round(median(a.map((value, i) => value / b[i]!)), 3);

export function report({ contest, alone, floor, profiles, agreement, given }: Found): void {
  const table = (title: string, runs: ReadonlyMap<string, readonly Run[]>): void => {
    console.log(`\n${title}`);
    console.table(Object.fromEntries([...runs].map(([name, all]) => [name, row(all)])));
  };
  table(`images at ${given.connections} connections (milliseconds; medians of ${given.rounds} rounds)`, contest);
  table('one connection', alone);
  if (profiles.size > 0) table('saccade, by profile', new Map([...profiles].map(([name, run]) => [name, [run]])));
  const ours = contest.get('saccade')!;
  console.log('\nCPU milliseconds for an image, by process');
  console.table({ contest: cpuOf(ours), ...Object.fromEntries([...profiles].map(([name, run]) => [name, cpuOf([run])])) });
  const rates = (runs: readonly Run[]): number[] => runs.map(({ perSecond }) => perSecond);
  const beside = Object.fromEntries(
    [...contest].filter(([name]) => name !== 'saccade').map(([name, runs]) => [name, { throughput: ratios(rates(ours), rates(runs)), p95: ratios(ours.map(({ p95 }) => p95), runs.map(({ p95 }) => p95)) }]),
  );
  console.log('\nsaccade to each, by round');
  console.table({ ...beside, floor: { throughput: ratios(rates(ours), floor) } });
  const json = (runs: ReadonlyMap<string, readonly Run[]>) => Object.fromEntries([...runs].map(([name, all]) => [name, jsonOf(all)]));
  console.log(
    JSON.stringify({
      bench: 'http',
      ...given,
      floor: floor.map((rate) => round(rate)),
      to_floor: ratios(rates(ours), floor),
      beside,
      contest: json(contest),
      alone: json(alone),
      profiles: Object.fromEntries([...profiles].map(([name, run]) => [name, jsonOf([run])])),
      same_labels: agreement,
    }),
  );
}
