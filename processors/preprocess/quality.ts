import type { Quality } from '../../schemas/records.ts';
import type { Bitmap } from './decode.ts';
import type { Size } from './region.ts';

/** Longest side of the grid the statistics are taken on, at most: they cost the same for every picture and can be compared. */
const longestSide = 256;

/** Pixels from one sample to the next, and how many samples there are. */
export function gridOf({ width, height }: Size): { step: number; columns: number; rows: number } {
  const step = Math.ceil(Math.max(width, height) / longestSide);
  return { step, columns: Math.ceil(width / step), rows: Math.ceil(height / step) };
}

/**
 * Luma, contrast, sharpness, saturation and entropy of a picture, on a grid of single pixels a whole step apart (at most 256 on
 * the longer side; small pictures are taken as they are). Samples and not averages: averaging would hide noise and grain, which is what
 * a drifting or failing camera shows first, and costs ten times as much.
 *
 * luma: mean Rec. 601 luma, 0..255. contrast: its standard deviation, 0..127.5. sharpness: variance of the 4-neighbour
 * Laplacian of luma (Pech-Pacheco et al., 2000), which falls with blur and rises with noise; 0 where no pixel has four neighbours.
 * saturation: mean of (max - min) / max over the colours of a pixel, 0..1. entropy: of the histogram of whole steps of luma, in
 * bits, 0 (one shade) to 8.
 */
export function measureQuality({ pixels, width, height }: Pick<Bitmap, 'pixels' | 'width' | 'height'>): Quality {
  const { step, columns, rows } = gridOf({ width, height });
  const luma = new Float32Array(columns * rows);
  const shades = new Uint32Array(256);
  let at = 0;
  let saturation = 0;
  for (let y = 0; y < height; y += step) {
    for (let x = 0, from = y * width * 3; x < width; x += step, from += step * 3) {
      const red = pixels[from]!;
      const green = pixels[from + 1]!;
      const blue = pixels[from + 2]!;
      // In whole thousandths, as the kernels count: a half is a half, and goes up.
      const thousandths = 299 * red + 587 * green + 114 * blue;
      luma[at++] = thousandths / 1000;
      shades[((thousandths + 500) / 1000) | 0]! += 1;
      // By comparisons: Math.max and Math.min of three take four times as long here.
      const most = red > green ? (red > blue ? red : blue) : green > blue ? green : blue;
      const least = red < green ? (red < blue ? red : blue) : green < blue ? green : blue;
      if (most > 0) saturation += (most - least) / most;
    }
  }
  const light = spread(luma);
  return { luma: light.mean, contrast: Math.sqrt(light.variance), sharpness: laplacianVariance(luma, columns, rows), saturation: saturation / at, entropy: entropyOf(shades, at) };
}

/** Of a histogram of `total` samples, in bits. */
export function entropyOf(counts: Uint32Array, total: number): number {
  let bits = 0;
  for (let i = 0; i < counts.length; i++) if (counts[i]! > 0) bits -= (counts[i]! / total) * Math.log2(counts[i]! / total);
  return bits;
}

function laplacianVariance(luma: Float32Array, columns: number, rows: number): number {
  const count = Math.max(0, columns - 2) * Math.max(0, rows - 2);
  if (count === 0) return 0;
  let sum = 0;
  let squares = 0;
  for (let y = 1; y < rows - 1; y++) {
    for (let i = y * columns + 1, end = i + columns - 2; i < end; i++) {
      const value = luma[i - 1]! + luma[i + 1]! + luma[i - columns]! + luma[i + columns]! - 4 * luma[i]!;
      sum += value;
      squares += value * value;
    }
  }
  // In one pass: a Laplacian's mean is near 0, so nothing is lost to rounding.
  return Math.max(0, squares / count - (sum / count) ** 2);
}

/** Two passes: the one-pass formula loses the variance of an almost even picture to rounding. */
function spread(values: Float32Array): { mean: number; variance: number } {
  let sum = 0;
  // By index: an iterator costs three times as much here.
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean) * (values[i]! - mean);
  return { mean, variance: squares / values.length };
}
