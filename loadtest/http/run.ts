/** One measured run: a load on a service, and what it cost. */
import { quantile } from '../quantiles.ts';
import { familyCpuSeconds } from './cpu.ts';
import type { Measured } from './load.ts';

/** Processes whose CPU counts, by what they are called in the table. */
export type Watched = Readonly<Record<string, number>>;

export interface Run {
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly answered: number;
  readonly errors: Readonly<Record<string, number>>;
  /** CPU milliseconds for each answered item, by process; `client`: the load generator itself. */
  readonly cpuMs: Readonly<Record<string, number>>;
  /** Processors the load generator was busy on. */
  readonly client: number;
}

/** `items`: pictures of a request. */
export async function measure(watched: Watched, load: () => Promise<Measured>, items = 1): Promise<Run> {
  const names = Object.keys(watched);
  const seconds = (): number[] => names.map((name) => familyCpuSeconds(watched[name]!));
  const own = process.cpuUsage();
  const before = seconds();
  const { ms, errors, seconds: took } = await load();
  const after = seconds();
  const { user, system } = process.cpuUsage(own);
  const client = (user + system) / 1e6;
  const count = Math.max(1, ms.length * items);
  const cpuMs = Object.fromEntries([...names.map((name, i) => [name, ((after[i]! - before[i]!) / count) * 1000]), ['client', (client / count) * 1000]]);
  return { perSecond: (ms.length * items) / took, p50: quantile(ms, 0.5), p95: quantile(ms, 0.95), p99: quantile(ms, 0.99), answered: ms.length, errors, cpuMs, client: client / took };
}
