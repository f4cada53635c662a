/** Weights of separable resampling: which source samples an output sample is the sum of, and by how much. */

export type Filter = 'bicubic' | 'bilinear';

export interface Weights {
  /** Samples that each output sample is the sum of; the last may weigh nothing. */
  readonly taps: number;
  /** First source sample of each output sample. */
  readonly starts: readonly number[];
  /** `taps` for each output sample, in 16384ths, together 16384. */
  readonly values: Int16Array;
}

/** The sum of an output sample's weights. */
export const one = 16384;

/** Keys (1981) with a = -0.5 (Catmull-Rom), and the triangle. */
const kernels: Record<Filter, { readonly radius: number; at(x: number): number }> = {
  bicubic: { radius: 2, at: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0) },
  bilinear: { radius: 1, at: (x) => (x < 1 ? 1 - x : 0) },
};

/**
 * Pixel centres on pixel centres. Shrinking widens the kernel by the factor (antialiased, as Pillow and libvips do);
 * enlarging is bilinear whatever the filter. Samples beyond the edge do not count. `multiple`: what `taps` is rounded up to.
 */
export function weightsOf(from: number, to: number, filter: Filter, multiple: number): Weights {
  const scale = Math.max(1, from / to);
  const kernel = kernels[from > to ? filter : 'bilinear'];
  const reach = kernel.radius * scale;
  const spans = Array.from({ length: to }, (_, i) => {
    const centre = ((i + 0.5) * from) / to;
    const start = Math.max(0, Math.round(centre - reach));
    const end = Math.max(start + 1, Math.min(from, Math.round(centre + reach)));
    const raw = Array.from({ length: end - start }, (_unused, k) => kernel.at(Math.abs(start + k + 0.5 - centre) / scale));
    return { start, raw };
  });
  const longest = Math.max(...spans.map(({ raw }) => raw.length));
  const taps = Math.ceil(longest / multiple) * multiple;
  const values = new Int16Array(to * taps);
  const starts = spans.map(({ start, raw }, i) => {
    // A window that would end behind the last sample begins earlier instead, and weighs nothing there.
    const first = Math.max(0, Math.min(start, from - taps));
    values.set(whole(raw), i * taps + start - first);
    return first;
  });
  return { taps, starts, values };
}

/** Rounded so that they still add up to one: an even surface must keep its value. */
function whole(raw: readonly number[]): number[] {
  const sum = raw.reduce((a, b) => a + b, 0);
  const rounded = raw.map((weight) => Math.round((weight / sum) * one));
  const largest = rounded.indexOf(Math.max(...rounded));
  rounded[largest]! += one - rounded.reduce((a, b) => a + b, 0);
  return rounded;
}
