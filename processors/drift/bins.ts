/** Bins that never change. What lies beyond the ends counts in the first or the last one. */
export interface Bins {
  readonly count: number;
  /** Which bin a value falls in. */
  of(value: number): number;
  /** Where the bins begin and the last one ends: count + 1 numbers. */
  edges(): number[];
}

const within = (bin: number, count: number): number => Math.min(count - 1, Math.max(0, bin));

const linear = (low: number, high: number, count: number): Bins => ({
  count,
  of: (value) => within(Math.floor(((value - low) / (high - low)) * count), count),
  edges: () => Array.from({ length: count + 1 }, (_, i) => low + (i * (high - low)) / count),
});

/** Of equal width in the logarithm; `low` above 0. */
function logarithmic(low: number, high: number, count: number): Bins {
  const [from, width] = [Math.log(low), (Math.log(high) - Math.log(low)) / count];
  return {
    count,
    of: (value) => (value > low ? within(Math.floor((Math.log(value) - from) / width), count) : 0),
    edges: () => Array.from({ length: count + 1 }, (_, i) => Math.exp(from + i * width)),
  };
}

/** 0 and 1. */
const flag = linear(-0.5, 1.5, 2);

export const bins = { linear, logarithmic, flag };
