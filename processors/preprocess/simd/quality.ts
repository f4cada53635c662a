/** A picture's statistics by the kernels: what measureQuality says of it, in a fifth of the time. */
import type { Quality } from '../../../schemas/records.ts';
import { gridOf } from '../quality.ts';
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
  const light = { luma: luma.mean / one, contrast: Math.sqrt(luma.variance) / one };
  if (inner.columns * inner.rows === 0) return { ...light, sharpness: 0 };
  kernels.laplacian(grid + stride + 4, stride, innerMasks, Math.ceil(inner.columns / 4), inner.rows, sums + 32);
  return { ...light, sharpness: spread(new Float64Array(memory, sums + 32, 4), inner.columns * inner.rows).variance / one ** 2 };
}

/** In one pass, unlike measureQuality's: sums of whole numbers lose nothing. */
function spread(sums: Float64Array, count: number): { mean: number; variance: number } {
  const mean = (sums[0]! + sums[1]!) / count;
  return { mean, variance: Math.max(0, (sums[2]! + sums[3]!) / count - mean ** 2) };
}
