/** The fast path: libjpeg-turbo and kernels in WebAssembly, in place of libvips. */
import type { ModelCard } from '../../../schemas/model-card.ts';
import type { Quality } from '../../../schemas/records.ts';
import { fitted } from '../letterbox.ts';
import { placeOf, regionOf } from '../region.ts';
import { kernels } from '../simd/kernels.ts';
import { qualityOf } from '../simd/quality.ts';
import { resampler } from '../simd/resample.ts';
import type { FastSize } from './header.ts';
import { type JpegDecoder, jpegDecoder } from './turbojpeg.ts';

export interface FastCut {
  readonly quality: Quality;
  /** uint8 RGB, height x width x 3, one for each input. */
  readonly tensors: readonly Uint8Array[];
}

/** Levels by which a decoder's red, green and blue are too little on average. */
type Owed = readonly [number, number, number];
const nothing: Owed = [0, 0, 0];
/**
 * The fast inverse DCT drops fractions instead of rounding them: half a level of Y, Cb and Cr. In red, green and blue that is
 * this much (measured on photos, at qualities from 50 to 95).
 */
const owedColour: Owed = [1.1, 0, 1.25];
/** Without Cb and Cr, what it drops of Y alone. */
const owedGrey: Owed = [0.46, 0.46, 0.46];
const lumaOf = ([red, green, blue]: Owed): number => 0.299 * red + 0.587 * green + 0.114 * blue;

/**
 * A function that decodes a JPEG of the size its header says, and cuts tensors from it; the work of 2-3 ms at 640 x 480 is
 * done on the calling thread, into new memory unless there is some to cut `into`. Throws what libjpeg-turbo says of data it
 * had to guess at: nothing but clean data passes.
 */
export function fastCutter({ decode, accurate }: JpegDecoder = jpegDecoder()): (bytes: Uint8Array, size: FastSize, inputs: readonly ModelCard['input'][], into?: readonly ArrayBufferLike[]) => FastCut {
  const own = kernels();
  const resample = resampler(own);
  return (bytes, size, inputs, into) => {
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    decode(source, own.picture(size.width * size.height * 3), size);
    const owed = accurate ? nothing : size.grey ? owedGrey : owedColour;
    const { luma, ...rest } = qualityOf(own, size);
    return {
      quality: { luma: Math.min(255, luma + lumaOf(owed)), ...rest },
      tensors: inputs.map((input, i) => {
        const region = regionOf(input.fit, size);
        return fitted(resample, size.width, region, placeOf(input, region), input, owed, into?.[i]);
      }),
    };
  };
}
