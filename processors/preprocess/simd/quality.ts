/** A picture's statistics by the kernels: what measureQuality says of it, in a fifth of the time. */
import type { Quality } from '../../../schemas/records.ts';
import { entropyOf, gridOf } from '../quality.ts';
import type { Size } from '../region.ts';
import type { Kernels } from './kernels.ts';

/** Thousandths of a level, in which the kernels count. */
const one = 1000;

/** Of the picture that lies in the kernels' memory. */
export function qualityOf(kernels: Kernels, size: Size): Quality {
  const { step, columns, rows } = gridOf(size);
  const groups = Math.ceil(columns / 4);
  const inner = { columns: Math.max(0, columns - 2), rows: Math.max(0, rows - 2) };
  const stride = groups * 16;

  const { at: sums, memory } = kernels.behind(64 + 2 * stride + 16 + stride * rows);
  const masks = sums + 64;
  const innerMasks = masks + stride;
  // A vector ahead: the first sample's left neighbour is read with it.
  const grid = innerMasks + stride + 16;
  new Int32Array(memory, masks, groups * 4).fill(-1, 0, columns).fill(0, columns);
  new Int32Array(memory, innerMasks, groups * 4).fill(-1, 0, inner.columns).fill(0, inner.columns);

  kernels.luma(0, size.width * 3 * step, 3 * step, masks, groups, rows, grid, sums);
  const luma = spread(new Float64Array(memory, sums, 4), columns * rows);
  const light = {
    luma: luma.mean / one,
    contrast: Math.sqrt(luma.variance) / one,
    saturation: saturationOf(new Uint8Array(memory, 0, size.width * size.height * 3), size, step) / (columns * rows),
    entropy: entropyOf(shadesOf(new Int32Array(memory, grid, groups * 4 * rows), groups * 4, columns), columns * rows),
  };
  if (inner.columns * inner.rows === 0) return { ...light, sharpness: 0 };
  kernels.laplacian(grid + stride + 4, stride, innerMasks, Math.ceil(inner.columns / 4), inner.rows, sums + 32);
  return { ...light, sharpness: spread(new Float64Array(memory, sums + 32, 4), inner.columns * inner.rows).variance / one ** 2 };
}

/** By looking up what each is one part of: a division costs more than all else here. */
const parts = Float64Array.from({ length: 256 }, (_, most) => (most === 0 ? 0 : 1 / most));

/** The sum over the grid of (max - min) / max. */
function saturationOf(pixels: Uint8Array, { width, height }: Size, step: number): number {
  let sum = 0;
  for (let y = 0; y < height; y += step) {
    for (let from = y * width * 3, end = from + width * 3; from < end; from += step * 3) {
      const red = pixels[from]!;
      const green = pixels[from + 1]!;
      const blue = pixels[from + 2]!;
      // By comparisons: Math.max and Math.min of three take four times as long here.
      const most = red > green ? (red > blue ? red : blue) : green > blue ? green : blue;
      const least = red < green ? (red < blue ? red : blue) : green < blue ? green : blue;
      sum += (most - least) * parts[most]!;
    }
  }
  return sum;
}

/** How many samples of the grid have each whole step of luma. */
function shadesOf(grid: Int32Array, stride: number, columns: number): Uint32Array {
  const shades = new Uint32Array(256);
  for (let row = 0; row < grid.length; row += stride) {
    for (let i = row, end = row + columns; i < end; i++) shades[((grid[i]! + one / 2) / one) | 0]! += 1;
  }
  return shades;
}

/** In one pass, unlike measureQuality's: sums of whole numbers lose nothing. */
function spread(sums: Float64Array, count: number): { mean: number; variance: number } {
  const mean = (sums[0]! + sums[1]!) / count;
  return { mean, variance: Math.max(0, (sums[2]! + sums[3]!) / count - mean ** 2) };
}
