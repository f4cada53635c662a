/**
 * How unusual a value is among values seen when nothing had changed. Within them by counting; beyond the last tenth of them by a
 * generalised Pareto distribution fitted to that tenth, since to count one in ten thousand takes ten thousand values.
 * Sources: Pickands, 1975; for p-values of permutation tests: Knijnenburg et al., Fewer permutations, more accurate P-values, 2009.
 */
export interface Tail {
  /** Where the fitted part begins, and the share of values above it. */
  readonly threshold: number;
  readonly share: number;
  readonly shape: number;
  readonly scale: number;
  /** The values themselves, or of many some hundred that lie evenly among them, the least and the largest included. */
  readonly sorted: Float64Array;
  /** How many there were. */
  readonly of: number;
}

/** Values of a tail that are kept: of a week's reference there are some thousand, for each feature and length of window. */
const keptAtMost = 200;

/** Which of `of` sorted values is the i-th of `kept`. */
const rankOf = (i: number, kept: number, of: number): number => (kept === of ? i : Math.round((i * (of - 1)) / (kept - 1)));

function some(sorted: Float64Array): Float64Array {
  const kept = Math.min(keptAtMost, sorted.length);
  return kept === sorted.length ? sorted : Float64Array.from({ length: kept }, (_, i) => sorted[rankOf(i, kept, sorted.length)]!);
}

const tailShare = 0.1;
/** Fewer values above the threshold are too few for two parameters. */
const leastExcesses = 10;
/** 0 is an exponential tail; lighter ones end somewhere, and a value beyond that end would be called impossible. */
const shapes = [0, 0.4] as const;

/** Shape and scale by the method of moments (Hosking & Wallis, 1987), of excesses over a threshold; the shape kept within 0..0.4. */
export function fitExcesses(excesses: ArrayLike<number>): { readonly shape: number; readonly scale: number } {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < excesses.length; i++) sum += excesses[i]!;
  const mean = sum / excesses.length;
  for (let i = 0; i < excesses.length; i++) squares += (excesses[i]! - mean) ** 2;
  const ratio = squares === 0 ? Number.POSITIVE_INFINITY : mean ** 2 / (squares / excesses.length);
  const shape = Math.min(shapes[1], Math.max(shapes[0], 0.5 * (1 - ratio)));
  // The mean of the distribution is scale / (1 − shape): kept, whatever the shape was cut to.
  return { shape, scale: mean * (1 - shape) };
}

/** P(X > excess) of a generalised Pareto distribution; equal to scipy.stats.genpareto.sf. */
export function excessProbability(excess: number, shape: number, scale: number): number {
  if (scale <= 0) return excess > 0 ? 0 : 1;
  return shape === 0 ? Math.exp(-excess / scale) : (1 + (shape * excess) / scale) ** (-1 / shape);
}

/** Throws nothing: of too few values, the most unusual has the p-value that counting gives it. */
export function fitTail(values: ArrayLike<number>): Tail {
  const sorted = Float64Array.from(values).sort();
  const n = Math.max(leastExcesses, Math.round(sorted.length * tailShare));
  if (sorted.length < 2 * leastExcesses) return { threshold: Number.POSITIVE_INFINITY, share: 0, shape: 0, scale: 0, sorted, of: sorted.length };
  const threshold = sorted[sorted.length - n - 1]!;
  const { shape, scale } = fitExcesses(sorted.subarray(sorted.length - n).map((value) => value - threshold));
  return { threshold, share: n / sorted.length, shape, scale, sorted: some(sorted), of: sorted.length };
}

/** As large as what is rare is taken to be before any was seen. */
const usualRare = 0.01;

/**
 * Of values that are 0 unless something rare happens: how often it does, as if it had once more than was seen (Laplace's rule), and how
 * large it is then: exponential, with the mean of those seen and one of 0.01, until there are enough of them to fit more.
 * `independent`: of how many the values are worth, which are of overlapping runs.
 */
export function fitRare(values: ArrayLike<number>, independent: number): Tail {
  const sorted = Float64Array.from(values).sort();
  const seen = sorted.filter((value) => value > 0);
  const times = (seen.length / sorted.length) * independent;
  const sizes = [...seen, usualRare];
  const { shape, scale } = seen.length >= leastExcesses ? fitExcesses(sizes) : { shape: 0, scale: sizes.reduce((sum, value) => sum + value, 0) / sizes.length };
  return { threshold: 0, share: Math.min(1, (times + 1) / (independent + 1)), shape, scale, sorted: some(sorted), of: sorted.length };
}

/** The share of values, seen when nothing had changed, that are at least as large; never 0, and rather too large by a two-hundredth than too small. */
export function pValue({ sorted, of, threshold, share, shape, scale }: Tail, value: number): number {
  if (Number.isNaN(value)) return Number.NaN;
  if (value > threshold && scale > 0) return Math.max(Number.MIN_VALUE, share * excessProbability(value - threshold, shape, scale));
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  const smaller = low === 0 ? 0 : 1 + rankOf(low - 1, sorted.length, of);
  return (1 + of - smaller) / (1 + of);
}
