import type { Corners } from '../../schemas/corners.ts';
import type { Bitmap } from './decode.ts';

export interface Augmentation<B extends Corners> {
  /** What is to be found in the bitmap, in its pixels. */
  readonly boxes?: readonly B[];
  /** Of each side, the share that is left at least. */
  readonly least?: number;
  /** A box of which less of the area is left is no example of its class any more, and is left out. */
  readonly visible?: number;
}

/**
 * A rendering a camera might have made of the same scene: a random part of it, mirrored half of the time, and the boxes as they lie in
 * it, clipped. What is cut from it goes through the same cutTensor as a frame. `random`: 0..1, given so that a run repeats.
 */
export function augmented<B extends Corners>(bitmap: Bitmap, random: () => number, { boxes = [], least = 0.6, visible = 0.3 }: Augmentation<B> = {}): { readonly bitmap: Bitmap; readonly boxes: B[] } {
  const part = (side: number): { length: number; from: number } => {
    const length = Math.max(1, Math.round(side * (least + random() * (1 - least))));
    return { length, from: Math.floor(random() * (side - length + 1)) };
  };
  const across = part(bitmap.width);
  const down = part(bitmap.height);
  const mirrored = random() < 0.5;
  const size = { width: across.length, height: down.length };
  const moved = boxes.flatMap((box): B[] => {
    const within = (at: number, { length, from }: { length: number; from: number }): number => Math.min(Math.max(at - from, 0), length);
    const [x1, y1, x2, y2] = [within(box.x1, across), within(box.y1, down), within(box.x2, across), within(box.y2, down)];
    const left = (x2 - x1) * (y2 - y1);
    if (left <= 0 || left < visible * (box.x2 - box.x1) * (box.y2 - box.y1)) return [];
    return [{ ...box, y1, y2, ...(mirrored ? { x1: across.length - x2, x2: across.length - x1 } : { x1, x2 }) }];
  });
  return { bitmap: { ...size, pixels: cut(bitmap, across.from, down.from, size, mirrored), original: size }, boxes: moved };
}

function cut(bitmap: Bitmap, left: number, top: number, { width, height }: { width: number; height: number }, mirrored: boolean): Buffer {
  const pixels = Buffer.allocUnsafe(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * bitmap.width + left) * 3;
    const to = y * width * 3;
    if (!mirrored) bitmap.pixels.copy(pixels, to, from, from + width * 3);
    else for (let x = 0; x < width; x++) bitmap.pixels.copy(pixels, to + x * 3, from + (width - 1 - x) * 3, from + (width - x) * 3);
  }
  return pixels;
}
