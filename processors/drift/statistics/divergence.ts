/**
 * How far two distributions are apart, from counts in the same bins. Counts can be added up, samples cannot: a window of a
 * day is the sum of its minutes.
 */

/** What an empty bin counts as in the index, as a share: its logarithm would be infinite. Evidently's choice as well. */
const emptyShare = 0.0001;

const sum = (counts: ArrayLike<number>): number => {
  let all = 0;
  for (let i = 0; i < counts.length; i++) all += counts[i]!;
  return all;
};

/**
 * Population stability index of two counts of the same length: Σ (c − r) ln(c / r) over the shares, a bin without any counting
 * as 0.0001. 0 and up; 0.1 is usually called a moderate change, 0.25 a large one. NaN when either is empty.
 * Source: Lewis, An Introduction to Credit Scoring, 1994; equal to `evidently`'s psi on the same shares.
 */
export function psi(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const [all, now] = [sum(reference), sum(current)];
  if (all === 0 || now === 0) return Number.NaN;
  let index = 0;
  for (let i = 0; i < reference.length; i++) {
    const r = reference[i] === 0 ? emptyShare : reference[i]! / all;
    const c = current[i] === 0 ? emptyShare : current[i]! / now;
    // Both empty says nothing, and adds nothing.
    if (r !== c) index += (c - r) * Math.log(c / r);
  }
  return index;
}

/**
 * Jensen-Shannon distance of two counts of the same length, with logarithms to the base 2: 0 (the same) to 1 (nothing in
 * common). NaN when either is empty. Source: Endres & Schindelin, 2003; equal to scipy.spatial.distance.jensenshannon(…, base=2).
 */
export function jensenShannon(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const [all, now] = [sum(reference), sum(current)];
  if (all === 0 || now === 0) return Number.NaN;
  let divergence = 0;
  for (let i = 0; i < reference.length; i++) {
    const r = reference[i]! / all;
    const c = current[i]! / now;
    const middle = (r + c) / 2;
    if (r > 0) divergence += (r * Math.log2(r / middle)) / 2;
    if (c > 0) divergence += (c * Math.log2(c / middle)) / 2;
  }
  return Math.sqrt(Math.max(0, divergence));
}

/**
 * Kolmogorov-Smirnov distance of two counts in the same ordered bins: the largest difference of their cumulative shares,
 * 0 to 1. NaN when either is empty. Equal to scipy.stats.ks_2samp(…).statistic of samples that are rounded to the bins, and never
 * more than that of the samples themselves.
 */
export function kolmogorovSmirnov(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const [all, now] = [sum(reference), sum(current)];
  if (all === 0 || now === 0) return Number.NaN;
  let [r, c, most] = [0, 0, 0];
  for (let i = 0; i < reference.length; i++) {
    r += reference[i]!;
    c += current[i]!;
    most = Math.max(most, Math.abs(r / all - c / now));
  }
  return most;
}

/**
 * How far the mean of two counts in the same ordered bins has moved, in standard deviations of the reference: 0 and up. Where
 * all is in one bin the deviation is that of values spread over it. NaN when either is empty.
 */
export function middleShift(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const [r, c] = [moments(reference), moments(current)];
  return Math.abs(c.mean - r.mean) / Math.sqrt(r.variance + 1 / 12);
}

function moments(counts: ArrayLike<number>): { mean: number; variance: number } {
  const n = sum(counts);
  let [mean, variance] = [0, 0];
  for (let i = 0; i < counts.length; i++) mean += (i * counts[i]!) / n;
  for (let i = 0; i < counts.length; i++) variance += ((i - mean) ** 2 * counts[i]!) / n;
  return { mean, variance };
}

/** As much share as a class that was never seen is taken to vary by. */
const leastVariance = 0.01;

/**
 * The largest change of a share, in standard deviations of one draw of the reference: max |c − r| / √(r (1 − r)), the variance
 * no less than 0.01. 0 and up. NaN when either is empty. Jensen-Shannon adds up all classes, and a hundred rare ones that come and
 * go hide one that matters.
 */
export function shareShift(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const [all, now] = [sum(reference), sum(current)];
  if (all === 0 || now === 0) return Number.NaN;
  let most = 0;
  for (let i = 0; i < reference.length; i++) {
    const r = reference[i]! / all;
    most = Math.max(most, Math.abs(current[i]! / now - r) / Math.sqrt(Math.max(leastVariance, r * (1 - r))));
  }
  return most;
}
