import type { ModelCard } from '../../schemas/model-card.ts';

/** Whole pixels of an upright picture. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The part of a picture a model looks at: all of it (stretch), or the centre square of a fraction of its shorter side (crop). */
export function regionOf(fit: ModelCard['input']['fit'], { width, height }: Size): Region {
  if (fit.mode === 'stretch') return { left: 0, top: 0, width, height };
  const side = Math.max(1, Math.round(Math.min(width, height) * fit.fraction));
  return { left: Math.round((width - side) / 2), top: Math.round((height - side) / 2), width: side, height: side };
}

/**
 * By how much a picture may be shrunk while it is decoded (1, 2, 4 or 8) so that no model's part of it gets smaller than
 * the tensor it fills. JPEG and WebP decoders shrink by these factors for less than the price of decoding it all.
 */
export function shrinkFor(models: readonly ModelCard['input'][], size: Size): number {
  const allows = (factor: number): boolean =>
    models.every((input) => {
      const region = regionOf(input.fit, shrunk(size, factor));
      return region.width >= input.width && region.height >= input.height;
    });
  return [8, 4, 2].find(allows) ?? 1;
}

/** As the decoders round: never to nothing. */
export const shrunk = ({ width, height }: Size, factor: number): Size => ({
  width: Math.ceil(width / factor),
  height: Math.ceil(height / factor),
});
