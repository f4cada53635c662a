import sharp from 'sharp';
import type { ModelCard } from '../../schemas/model-card.ts';
import type { Geometry } from '../../schemas/records.ts';
import type { Bitmap } from './decode.ts';
import { fitted } from './letterbox.ts';
import { filterOf, placeOf, type Region, regionOf, type Size } from './region.ts';
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
  const place = placeIn(bitmap, region, input);
  const large = isLarge(region, place);
  // Never enlarged there: libvips does so with a shift of half a pixel (its issue 4841), which moves boxes.
  const size = large ? { width: Math.min(region.width, place.width), height: Math.min(region.height, place.height) } : region;
  const part = large ? await shrunkBySharp(bitmap, region, size, filterOf(input.fit)) : rowsOf(bitmap, region);
  const { own, resample } = (shared ??= opened());
  own.picture(part.length).set(part);
  const pixels = fitted(resample, size.width, { ...size, left: 0, top: 0 }, place, input);
  return { pixels: Buffer.from(pixels.buffer), geometry: geometryOf(bitmap, region, input) };
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

type Rendering = Pick<Bitmap, 'width' | 'height' | 'original'>;

/** How much of the original a pixel of the bitmap stands for. */
const stepOf = ({ width, height, original }: Rendering) => ({ across: original.width / width, down: original.height / height });

/** By the shape in the original: a rendering's own is rounded, and a padded line more or less would show. */
function placeIn(bitmap: Rendering, region: Region, input: ModelCard['input']): Region {
  const { across, down } = stepOf(bitmap);
  return placeOf(input, { width: region.width * across, height: region.height * down });
}

/** The rectangle of the upright original that a tensor of a region of the bitmap shows: beyond the picture where it is padded. */
export function geometryOf(bitmap: Rendering, region: Region, input: ModelCard['input']): Geometry {
  const { across, down } = stepOf(bitmap);
  const place = placeIn(bitmap, region, input);
  const [width, height] = [region.width * across, region.height * down];
  return {
    image_width: bitmap.original.width,
    image_height: bitmap.original.height,
    x: region.left * across - (place.left / place.width) * width,
    y: region.top * down - (place.top / place.height) * height,
    width: width * (input.width / place.width),
    height: height * (input.height / place.height),
  };
}
