/** What the restarts did to the frames and to the requests, by phase. */
import { quantile } from '../quantiles.ts';
import type { SentFrame } from './frames.ts';
import type { Request } from './requests.ts';

export interface Row {
  readonly frames: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly lost: number;
  /** Frames with more than one record on `predictions`; the store keeps one. */
  readonly repeated: number;
  readonly http: number;
  readonly http_p50: number;
  readonly http_p99: number;
  readonly http_max: number;
  readonly http_failed: number;
  readonly http_retried: number;
}

/** Milliseconds. Only acknowledged frames count. */
export function rowOf(frames: readonly SentFrame[], requests: readonly Request[]): Row {
  const acknowledged = frames.filter(({ ackedAt }) => ackedAt !== null);
  const latencies = acknowledged.flatMap(({ sentAt, arrivals }) => (arrivals[0] === undefined ? [] : [arrivals[0] - sentAt]));
  const times = requests.flatMap(({ ms }) => ms ?? []);
  return {
    frames: acknowledged.length,
    p50: Math.round(quantile(latencies, 0.5)),
    p99: Math.round(quantile(latencies, 0.99)),
    max: Math.max(0, ...latencies),
    lost: acknowledged.filter(({ arrivals }) => arrivals.length === 0).length,
    repeated: acknowledged.filter(({ arrivals }) => arrivals.length > 1).length,
    http: requests.length,
    http_p50: Math.round(quantile(times, 0.5)),
    http_p99: Math.round(quantile(times, 0.99)),
    http_max: Math.max(0, ...times),
    http_failed: requests.filter(({ ms }) => ms === null).length,
    http_retried: requests.filter(({ refused }) => refused > 0).length,
  };
}

/** By what `group` makes of the phase; phases it answers null for are left out. */
export function rowsBy(frames: readonly SentFrame[], requests: readonly Request[], group: (phase: string) => string | null): Record<string, Row> {
  const names = [...new Set(frames.map(({ phase }) => group(phase)).filter((name) => name !== null))];
  return Object.fromEntries(
    names.map((name) => [name, rowOf(frames.filter(({ phase }) => group(phase) === name), requests.filter(({ phase }) => group(phase) === name))]),
  );
}
