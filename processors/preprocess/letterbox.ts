import type { ModelInput } from '../../schemas/model-card.ts';
import { filterOf, type Region } from './region.ts';
import type { Resample } from './simd/resample.ts';

/**
 * The tensor of a region: uint8 RGB, input.height x input.width x 3. The region is scaled to its `place` there (placeOf), and what
 * that leaves is padded. The rest is as of Resample.
 */
export function fitted(resample: Resample, width: number, region: Region, place: Region, input: ModelInput, lift?: readonly number[], into?: ArrayBufferLike): Uint8Array {
  const { fit } = input;
  if (fit.mode !== 'letterbox') return resample(width, region, input, filterOf(fit), lift, into);
  const inner = resample(width, region, place, filterOf(fit), lift);
  const tensor = Buffer.from(into ?? new ArrayBuffer(input.height * input.width * 3));
  tensor.fill(Buffer.from(typeof fit.pad === 'number' ? [fit.pad] : fit.pad));
  const row = place.width * 3;
  for (let y = 0; y < place.height; y++) {
    tensor.set(inner.subarray(y * row, (y + 1) * row), ((place.top + y) * input.width + place.left) * 3);
  }
  return tensor;
}
