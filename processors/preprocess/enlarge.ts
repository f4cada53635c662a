import type { Size } from './region.ts';

/**
 * Enlarges RGB pixels (height x width x 3, uint8) to a size no smaller on either axis, bilinearly, pixel centres on pixel
 * centres and edges repeated. Why not libvips: it enlarges with a shift of half a pixel (its issue 4841), which moves
 * boxes, and takes three times as long.
 */
export function enlarge(pixels: Buffer, from: Size, to: Size): Buffer {
  const wide = from.width === to.width ? pixels : stretchRows(pixels, from, to.width);
  return from.height === to.height ? wide : stretchColumns(wide, { width: to.width, height: from.height }, to.height);
}

interface Tap {
  readonly near: number;
  readonly far: number;
  /** Weight of `far` in 256ths. */
  readonly weight: number;
}

function taps(from: number, to: number): Tap[] {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const near = Math.floor(at);
    return { near, far: Math.min(near + 1, from - 1), weight: Math.round((at - near) * 256) };
  });
}

function stretchRows(pixels: Buffer, { width, height }: Size, wider: number): Buffer {
  const out = Buffer.allocUnsafe(wider * height * 3);
  const columns = taps(width, wider);
  let at = 0;
  for (let y = 0; y < height; y++) {
    const row = y * width * 3;
    for (const { near, far, weight } of columns) {
      let a = row + near * 3;
      let b = row + far * 3;
      for (let channel = 0; channel < 3; channel++) {
        const value = pixels[a++]!;
        out[at++] = value + (((pixels[b++]! - value) * weight + 128) >> 8);
      }
    }
  }
  return out;
}

function stretchColumns(pixels: Buffer, { width, height }: Size, higher: number): Buffer {
  const stride = width * 3;
  const out = Buffer.allocUnsafe(stride * higher);
  let at = 0;
  for (const { near, far, weight } of taps(height, higher)) {
    let a = near * stride;
    let b = far * stride;
    for (const end = a + stride; a < end; ) {
      const value = pixels[a++]!;
      out[at++] = value + (((pixels[b++]! - value) * weight + 128) >> 8);
    }
  }
  return out;
}
