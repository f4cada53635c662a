/** The fast path: libjpeg-turbo and kernels in WebAssembly, in place of libvips. */
import jpeg from '@julusian/jpeg-turbo';
import type { ModelCard } from '../../../schemas/model-card.ts';
import type { Quality } from '../../../schemas/records.ts';
import { filterOf, regionOf } from '../region.ts';
import { kernels } from '../simd/kernels.ts';
import { qualityOf } from '../simd/quality.ts';
import { resampler } from '../simd/resample.ts';
import type { FastSize } from './header.ts';
import type { CutRequest } from './messages.ts';

export interface FastCut {
  readonly quality: Quality;
  /** uint8 RGB, height x width x 3, one for each input. */
  readonly tensors: readonly Uint8Array<ArrayBuffer>[];
}

/**
 * The binding asks libjpeg-turbo for its fast inverse DCT, which drops fractions instead of rounding them: half a level of
 * Y, Cb and Cr. In red, green and blue that is this much too little (measured on photos, at qualities from 50 to 95).
 */
const owedColour = [1.1, 0, 1.25] as const;
/** Without Cb and Cr, what it drops of Y alone. */
const owedGrey = [0.46, 0.46, 0.46] as const;
const lumaOf = ([red, green, blue]: readonly [number, number, number]): number => 0.299 * red + 0.587 * green + 0.114 * blue;

/**
 * A function that decodes a JPEG of the size its header says, and cuts tensors from it; the work of 2-3 ms at 640 x 480 is
 * done on the calling thread, into new memory unless there is some to cut `into`. Throws what libjpeg-turbo says of data it had to guess at: nothing but clean data passes.
 */
export function fastCutter(): (bytes: Uint8Array, size: FastSize, inputs: readonly ModelCard['input'][], into?: CutRequest['into']) => FastCut {
  const own = kernels();
  const resample = resampler(own);
  return (bytes, size, inputs, into) => {
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const pixels = own.picture(size.width * size.height * 3);
    // The size is asked for again: a decoder that finds another one than the header's reader did must not be believed.
    const found = jpeg.decompressSync(source, pixels, { format: jpeg.FORMAT_RGB });
    if (found.width !== size.width || found.height !== size.height) throw new RangeError(`it is ${found.width} x ${found.height}`);
    const owed = size.grey ? owedGrey : owedColour;
    const { luma, ...rest } = qualityOf(own, size);
    return {
      quality: { luma: Math.min(255, luma + lumaOf(owed)), ...rest },
      tensors: inputs.map((input, i) => resample(size.width, regionOf(input.fit, size), input, filterOf(input.fit), owed, into?.[i])),
    };
  };
}
