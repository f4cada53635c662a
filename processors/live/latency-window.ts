/** Percentiles of the last minute from a histogram of each second: memory stays the same at any rate. */
import type { Percentiles } from './events.ts';

export const WINDOW_SECONDS = 60;

/** Each bin is 4 % wider than the one before, from 0.1 ms to 15 minutes: a percentile read from its middle is within 2 %. */
const GROWTH = 1.04;
const SMALLEST_MS = 0.1;
const BINS = 1 + Math.ceil(Math.log(900_000 / SMALLEST_MS) / Math.log(GROWTH));

const binOf = (ms: number): number =>
  ms <= SMALLEST_MS ? 0 : Math.min(BINS - 1, 1 + Math.floor(Math.log(ms / SMALLEST_MS) / Math.log(GROWTH)));
const middleOf = (bin: number): number => (bin === 0 ? SMALLEST_MS : SMALLEST_MS * GROWTH ** (bin - 0.5));

interface Second {
  second: number;
  count: number;
  readonly bins: Uint32Array;
}

export interface LatencyWindow {
  /** `now` in ms since the epoch decides the second, `ms` is the latency; below 0 (clocks that disagree) counts as 0. */
  add(now: number, ms: number): void;
  percentiles(now: number): Percentiles;
  /** By second, oldest first, the one under way left out. */
  history(now: number): { p50: (number | null)[]; p95: (number | null)[] };
}

export function latencyWindow(): LatencyWindow {
  const seconds: Second[] = Array.from({ length: WINDOW_SECONDS + 1 }, () => ({ second: -1, count: 0, bins: new Uint32Array(BINS) }));
  const slot = (second: number): Second => seconds[second % seconds.length]!;
  return {
    add(now, ms) {
      const second = Math.floor(now / 1000);
      const into = slot(second);
      if (into.second !== second) {
        into.second = second;
        into.count = 0;
        into.bins.fill(0);
      }
      into.bins[binOf(ms)]! += 1;
      into.count += 1;
    },
    percentiles(now) {
      const current = Math.floor(now / 1000);
      const sum = new Uint32Array(BINS);
      let count = 0;
      for (const { second, count: n, bins } of seconds) {
        if (second <= current - WINDOW_SECONDS || second > current || n === 0) continue;
        count += n;
        for (let bin = 0; bin < BINS; bin++) sum[bin]! += bins[bin]!;
      }
      return { count, p50: rank(sum, count, 0.5), p95: rank(sum, count, 0.95), p99: rank(sum, count, 0.99) };
    },
    history(now) {
      const current = Math.floor(now / 1000);
      const line = (share: number): (number | null)[] =>
        Array.from({ length: WINDOW_SECONDS }, (_, i) => {
          const second = current - WINDOW_SECONDS + i;
          const { second: held, count, bins } = slot(second);
          return held === second ? rank(bins, count, share) : null;
        });
      return { p50: line(0.5), p95: line(0.95) };
    },
  };
}

/** Nearest rank: the smallest value that `share` of the values do not exceed. */
function rank(bins: Uint32Array, count: number, share: number): number | null {
  if (count === 0) return null;
  let left = Math.ceil(count * share);
  for (const [bin, n] of bins.entries()) {
    left -= n;
    if (left <= 0) return middleOf(bin);
  }
  return null;
}
