/** Weights of separable resampling: which source samples an output sample is the sum of, and by how much. */

export type Filter = 'bicubic' | 'bilinear';

export interface Weights {
  /** Samples that each output sample is the sum of; the last may weigh nothing. */
  readonly taps: number;
  /** First source sample of each output sample. */
  readonly starts: readonly number[];
  /** `taps` for each output sample, in units of 1 / `one`. */
  readonly values: Int32Array;
}

/** Weights are rounded to this part of one, as Pillow rounds them: what is left of 32 bits beside a byte and two bits of overshoot. */
export const one = 1 << 22;

/** Keys (1981) with a = -0.5 (Catmull-Rom), and the triangle. */
const kernels: Record<Filter, { readonly radius: number; at(x: number): number }> = {
  bicubic: { radius: 2, at: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0) },
  bilinear: { radius: 1, at: (x) => (x < 1 ? 1 - x : 0) },
};

/**
 * Pixel centres on pixel centres; shrinking widens the kernel by the factor (antialiased). Samples beyond the edge do not
 * count. `multiple`: what `taps` is rounded up to.
 */
export function weightsOf(from: number, to: number, filter: Filter, multiple: number): Weights {
  const step = from / to;
  const scale = Math.max(1, step);
  const kernel = kernels[filter];
  const reach = kernel.radius * scale;
  const spans = Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * step;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const raw = Array.from({ length: end - start }, (_unused, k) => kernel.at(Math.abs((start + k - centre + 0.5) / scale)));
    return { start, raw };
  });
  const longest = Math.max(...spans.map(({ raw }) => raw.length));
  const taps = Math.ceil(longest / multiple) * multiple;
  const values = new Int32Array(to * taps);
  const starts = spans.map(({ start, raw }, i) => {
    const sum = raw.reduce((a, b) => a + b, 0);
    // A window that would end behind the last sample begins earlier instead, and weighs nothing there.
    const first = Math.max(0, Math.min(start, from - taps));
    values.set(raw.map((weight) => halvesAway((weight / sum) * one)), i * taps + start - first);
    return first;
  });
  return { taps, starts, values };
}

const halvesAway = (value: number): number => Math.trunc(value + (value < 0 ? -0.5 : 0.5));
