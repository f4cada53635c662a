/** A picture's statistics by the kernels: what measureQuality says of it, in a fifth of the time. */
import type { Quality } from '../../../schemas/records.ts';
import { entropyOf, gridOf } from '../quality.ts';
import type { Size } from '../region.ts';
import type { Kernels } from './kernels.ts';

/** Thousandths of a level, in which the kernels count. */
const one = 1000;
/** Whole steps of luma. */
const shadesThereAre = 256;
/** Bytes of what the kernels fill: three sums and two more, then the shades, by four. */
const [sumBytes, shadeBytes] = [96, shadesThereAre * 16];

/** Of the picture that lies in the kernels' memory. */
export function qualityOf(kernels: Kernels, size: Size): Quality {
  const { step, columns, rows } = gridOf(size);
  const groups = Math.ceil(columns / 4);
  const inner = { columns: Math.max(0, columns - 2), rows: Math.max(0, rows - 2) };
  const stride = groups * 16;
  const count = columns * rows;

  const { at: sums, memory } = kernels.behind(sumBytes + shadeBytes + 2 * stride + 16 + stride * rows);
  const shades = sums + sumBytes;
  const masks = shades + shadeBytes;
  const innerMasks = masks + stride;
  // A vector ahead: the first sample's left neighbour is read with it.
  const grid = innerMasks + stride + 16;
  new Int32Array(memory, masks, groups * 4).fill(0xff_ff_ff, 0, columns).fill(0, columns);
  new Int32Array(memory, innerMasks, groups * 4).fill(-1, 0, inner.columns).fill(0, inner.columns);
  const byFour = new Int32Array(memory, shades, shadesThereAre * 4).fill(0);

  kernels.samples(0, size.width * 3 * step, 3 * step, masks, groups, rows, grid, sums, shades);
  // What was masked away is black.
  byFour[0]! -= groups * 4 * rows - count;
  const [lumaLow, lumaHigh, squaresLow, squaresHigh, saturationLow, saturationHigh] = new Float64Array(memory, sums, 6) as unknown as Six;
  const luma = spread(lumaLow + lumaHigh, squaresLow + squaresHigh, count);
  const light = {
    luma: luma.mean / one,
    contrast: Math.sqrt(luma.variance) / one,
    saturation: (saturationLow + saturationHigh) / count,
    entropy: entropyOf(together(byFour), count),
  };
  if (inner.columns * inner.rows === 0) return { ...light, sharpness: 0 };
  kernels.laplacian(grid + stride + 4, stride, innerMasks, Math.ceil(inner.columns / 4), inner.rows, sums + 48);
  const [sumLow, sumHigh, ownLow, ownHigh] = new Float64Array(memory, sums + 48, 4) as unknown as Six;
  return { ...light, sharpness: spread(sumLow + sumHigh, ownLow + ownHigh, inner.columns * inner.rows).variance / one ** 2 };
}

type Six = readonly [number, number, number, number, number, number];

function together(byFour: Int32Array): Uint32Array {
  const shades = new Uint32Array(shadesThereAre);
  for (let i = 0; i < shades.length; i++) shades[i] = byFour[4 * i]! + byFour[4 * i + 1]! + byFour[4 * i + 2]! + byFour[4 * i + 3]!;
  return shades;
}

/** In one pass, unlike measureQuality's: sums of whole numbers lose nothing. */
function spread(sum: number, squares: number, count: number): { mean: number; variance: number } {
  const mean = sum / count;
  return { mean, variance: Math.max(0, squares / count - mean ** 2) };
}
