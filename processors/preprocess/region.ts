import type { ModelCard, ModelInput } from '../../schemas/model-card.ts';

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

/** The part of a picture a model looks at: all of it (stretch, letterbox), or the centre square of a fraction of its shorter side (crop). */
export function regionOf(fit: ModelCard['input']['fit'], { width, height }: Size): Region {
  if (fit.mode !== 'crop') return { left: 0, top: 0, width, height };
  const side = Math.max(1, Math.round(Math.min(width, height) * fit.fraction));
  return { left: Math.round((width - side) / 2), top: Math.round((height - side) / 2), width: side, height: side };
}

/**
 * Where in the tensor the pixels of a region of this shape lie: everywhere, or of a letterboxed one what its proportions leave. To the
 * pixel as Ultralytics' LetterBox has it, which YOLO exports were trained with: halves of a length go to the even number, and
 * where the padding is odd the pixel more is on the right or below.
 */
export function placeOf({ width, height, fit }: ModelInput, shape: Size): Region {
  if (fit.mode !== 'letterbox') return { left: 0, top: 0, width, height };
  const scale = Math.min(width / shape.width, height / shape.height);
  const inner = { width: Math.max(1, halfToEven(shape.width * scale)), height: Math.max(1, halfToEven(shape.height * scale)) };
  const before = (room: number): number => (fit.align === 'centre' ? Math.floor(room / 2) : 0);
  return { left: before(width - inner.width), top: before(height - inner.height), ...inner };
}

const halfToEven = (value: number): number => (value % 2 === 0.5 ? Math.floor(value) : Math.round(value));

/** Classifiers that crop were evaluated with a bicubic filter, detectors that stretch or letterbox were trained with a bilinear one. */
export const filterOf = ({ mode }: ModelCard['input']['fit']): 'bicubic' | 'bilinear' => (mode === 'crop' ? 'bicubic' : 'bilinear');

/** Finer detail than the tensor's own left for the last, careful step: at less than this, scores move by a few hundredths. */
const margin = 1.25;

/**
 * By how much (8, 4 or 1) a picture is shrunk while it is decoded: so that every model's part of it still has `margin`
 * pixels for each of the tensor's. Decoders do most of such a shrink for free, and a 12-megapixel photo is not worth 36 MB.
 * Not 2: sharp then decodes in full all the same (it halves the decoder's share of an exact factor).
 */
export function shrinkFor(models: readonly ModelCard['input'][], size: Size): number {
  const allows = (factor: number): boolean =>
    models.every((input) => {
      const region = regionOf(input.fit, shrunk(size, factor));
      const place = placeOf(input, region);
      return region.width >= place.width * margin && region.height >= place.height * margin;
    });
  return [8, 4].find(allows) ?? 1;
}

/** As the decoders round: never to nothing. */
export const shrunk = ({ width, height }: Size, factor: number): Size => ({
  width: Math.ceil(width / factor),
  height: Math.ceil(height / factor),
});
