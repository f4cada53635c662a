import type { Bitmap } from './decode.ts';

/**
 * A rendering a camera might have made of the same scene: a random part of it (at least `least` of each side), mirrored half
 * of the time. What is cut from it goes through the same cutTensor as a frame. `random`: 0..1, given so that a run repeats.
 */
export function augmented(bitmap: Bitmap, random: () => number, least = 0.6): Bitmap {
  const part = (side: number): { length: number; from: number } => {
    const length = Math.max(1, Math.round(side * (least + random() * (1 - least))));
    return { length, from: Math.floor(random() * (side - length + 1)) };
  };
  const across = part(bitmap.width);
  const down = part(bitmap.height);
  const mirrored = random() < 0.5;
  const pixels = Buffer.allocUnsafe(across.length * down.length * 3);
  for (let y = 0; y < down.length; y++) {
    const from = ((down.from + y) * bitmap.width + across.from) * 3;
    const to = y * across.length * 3;
    if (!mirrored) bitmap.pixels.copy(pixels, to, from, from + across.length * 3);
    else for (let x = 0; x < across.length; x++) bitmap.pixels.copy(pixels, to + x * 3, from + (across.length - 1 - x) * 3, from + (across.length - x) * 3);
  }
  const size = { width: across.length, height: down.length };
  return { ...size, pixels, original: size };
}
