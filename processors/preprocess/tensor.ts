import sharp from 'sharp';
import type { ModelCard } from '../../schemas/model-card.ts';
import type { Geometry } from '../../schemas/records.ts';
import type { Bitmap } from './decode.ts';
import { filterOf, type Region, regionOf, type Size } from './region.ts';
import { type Kernels, kernels } from './simd/kernels.ts';
import { type Resample, resampler } from './simd/resample.ts';
import type { Filter } from './simd/weights.ts';

/** What one model sees of a bitmap: uint8 RGB, input.height x input.width x 3, and the rectangle of the original it shows. */
export interface CutTensor {
  readonly pixels: Buffer;
  readonly geometry: Geometry;
}

/**
 * Of a region, and of its rows at the tensor's width: above it, libvips shrinks it on threads of its own, as the resampler would hold
 * up the calling thread for milliseconds. A thread of pixels a million high is small, and its rows at a tensor's width are not.
 */
const mostPixels = 2_000_000;
const mostSide = 16_384;

/** Whether the resampler had better not be given all of a region. */
const isLarge = ({ width, height }: Size, to: Size): boolean => Math.max(width, to.width) * height > mostPixels || Math.max(width, height) > mostSide;

/** Cuts a model's part out of the bitmap and scales it to the tensor's size: by the resampler of the fast path, so to the bit what that makes of the same pixels. */
export const cutTensor = (bitmap: Bitmap, input: ModelCard['input']): Promise<CutTensor> => cutRegion(bitmap, regionOf(input.fit, bitmap), input);

/** The same of any region of the bitmap. */
export async function cutRegion(bitmap: Bitmap, region: Region, input: ModelCard['input']): Promise<CutTensor> {
  const filter = filterOf(input.fit);
  const large = isLarge(region, input);
  // Never enlarged there: libvips does so with a shift of half a pixel (its issue 4841), which moves boxes.
  const size = large ? { width: Math.min(region.width, input.width), height: Math.min(region.height, input.height) } : region;
  const part = large ? await shrunkBySharp(bitmap, region, size, filter) : rowsOf(bitmap, region);
  const { own, resample } = (shared ??= opened());
  own.picture(part.length).set(part);
  const pixels = resample(size.width, { ...size, left: 0, top: 0 }, input, filter);
  return { pixels: Buffer.from(pixels.buffer), geometry: geometryOf(bitmap, region) };
}

/** One for the thread: a cut takes it and is done with it between two awaits. */
let shared: { readonly own: Kernels; readonly resample: Resample } | null = null;

function opened() {
  const own = kernels();
  return { own, resample: resampler(own) };
}

/** The region's pixels without their neighbours. */
function rowsOf({ pixels, width }: Bitmap, region: Region): Buffer {
  const [from, stride, row] = [(region.top * width + region.left) * 3, width * 3, region.width * 3];
  if (row === stride) return pixels.subarray(from, from + region.height * row);
  const part = Buffer.allocUnsafe(region.height * row);
  for (let y = 0; y < region.height; y++) pixels.copy(part, y * row, from + y * stride, from + y * stride + row);
  return part;
}

function shrunkBySharp({ pixels, width, height }: Bitmap, region: Region, size: Size, filter: Filter): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .extract(region)
    .resize({ ...size, fit: 'fill', kernel: filter === 'bicubic' ? 'cubic' : 'linear' })
    .raw()
    .toBuffer();
}

/** Where in the upright original a region of the bitmap lies. */
export function geometryOf(bitmap: Pick<Bitmap, 'width' | 'height' | 'original'>, region: Region): Geometry {
  const across = bitmap.original.width / bitmap.width;
  const down = bitmap.original.height / bitmap.height;
  return {
    image_width: bitmap.original.width,
    image_height: bitmap.original.height,
    x: region.left * across,
    y: region.top * down,
    width: region.width * across,
    height: region.height * down,
  };
}
