/** How many rows a run takes on this machine, and how long a row waits for company: read off what was measured when warm. */

/** `ms` for each row of a run of `rows`. */
export interface Measured {
  readonly rows: number;
  readonly ms: number;
}

export interface RunPolicy {
  /** Rows a run takes at most. */
  readonly rows: number;
  /** The sizes runs have, ascending from 1: each was run once before the model counts as warm. */
  readonly buckets: readonly number[];
  readonly delayMs: number;
  readonly measured: readonly Measured[];
}

export const sizesToMeasure: readonly number[] = [1, 2, 4, 8, 16];

/** A larger run delays its first row until its last is done: it must save this share of the time of a row. */
const worthwhile = 0.15;
const longestDelayMs = 5;
/** Rows that gain nothing from each other go together all the same where a row takes so little that handing it over counts. */
const handedOverTogether = 4;
const noLoss = 0.08;
/** What somebody who waits may have to wait longer for such a run to end. */
const longestRunMs = 20;

const best = (measured: readonly Measured[]): number => Math.min(...measured.map(({ ms }) => ms));

/** Whether the last two sizes saved nothing: then the larger ones would only make the start longer. */
export function settled(measured: readonly Measured[]): boolean {
  const [before, last] = [measured.slice(0, -2), measured.slice(-2)];
  return before.length > 0 && best(last) > best(before) * (1 - worthwhile);
}

export interface Choice {
  /** What is set overrides what was measured. */
  readonly maxBatch: number | null;
  readonly delayMs: number | null;
  /** There a wait only leaves a processor idle that the row could have had. */
  readonly onCpu: boolean;
}

/** The smallest size that comes close to the best, and a wait no longer than company saves a row. A size that nobody measured joins the buckets. */
export function choosePolicy(measured: readonly Measured[], set: Choice): RunPolicy {
  const one = measured[0]!;
  const goal = best(measured);
  // Against noise: only what beats a run of one by the margin is a reason to make runs larger at all.
  const gains = goal < one.ms * (1 - worthwhile);
  const together = measured.filter(({ rows, ms }) => set.onCpu && rows <= handedOverTogether && ms <= one.ms * (1 + noLoss) && rows * ms <= longestRunMs);
  const chosen = gains ? measured.find(({ ms }) => ms <= goal * (1 + worthwhile / 2))! : (together.at(-1) ?? one);
  const rows = set.maxBatch ?? chosen.rows;
  const buckets = [...new Set([1, ...sizesToMeasure.filter((size) => size < rows), rows])];
  const delayMs = set.delayMs ?? (rows === 1 || set.onCpu ? 0 : Math.min(longestDelayMs, Math.max(0, Math.floor(one.ms - chosen.ms))));
  return { rows, buckets, delayMs, measured };
}
