import sharp from 'sharp';
import type { ModelCard } from '../../schemas/model-card.ts';
import type { Geometry } from '../../schemas/records.ts';
import type { Bitmap } from './decode.ts';
import { enlarge } from './enlarge.ts';
import { filterOf, type Region, regionOf } from './region.ts';

/** What one model sees of a bitmap: uint8 RGB, input.height x input.width x 3, and the rectangle of the original it shows. */
export interface CutTensor {
  readonly pixels: Buffer;
  readonly geometry: Geometry;
}

/**
 * Cuts a model's part out of the bitmap and scales it to the tensor's size, antialiased when shrinking (it then agrees with
 * Pillow's to a fraction of a grey level).
 */
export const cutTensor = (bitmap: Bitmap, input: ModelCard['input']): Promise<CutTensor> => cutRegion(bitmap, regionOf(input.fit, bitmap), input);

/** The same of any region of the bitmap. */
export async function cutRegion(bitmap: Bitmap, region: Region, input: ModelCard['input']): Promise<CutTensor> {
  const size = { width: Math.min(region.width, input.width), height: Math.min(region.height, input.height) };
  const shrinks = size.width < region.width || size.height < region.height;
  const whole = region.width === bitmap.width && region.height === bitmap.height;

  let pixels = bitmap.pixels;
  if (shrinks || !whole) {
    const cut = sharp(bitmap.pixels, { raw: { width: bitmap.width, height: bitmap.height, channels: 3 } }).extract(region);
    if (shrinks) cut.resize({ ...size, fit: 'fill', kernel: filterOf(input.fit) === 'bicubic' ? 'cubic' : 'linear' });
    pixels = await cut.raw().toBuffer();
  }
  return { pixels: enlarge(pixels, size, input), geometry: geometryOf(bitmap, region) };
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
