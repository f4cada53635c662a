/** Covers parts of a picture so that nothing of what they showed can be told any more. */
import sharp from 'sharp';
import type { Corners } from '../../schemas/corners.ts';
import type { Covering } from '../../schemas/policies.ts';
import type { View } from './views.ts';

/** Upright RGB, width x height x 3 bytes. */
export interface Pixels {
  readonly pixels: Buffer;
  readonly width: number;
  readonly height: number;
}

/** In pixels of the picture. */
export type Box = Corners;

/**
 * Of a covered part this many averages along its longer side are left, however it is drawn. With the margin around it, a face
 * is two or three of them across: nobody could be told by them, the detector itself finds nothing there, and there is nothing to undo.
 */
const cells = 4;

/** The box with `margin` of its width and height added on each side, in whole pixels of the picture; null when nothing of it is in there. */
export function widened({ x1, y1, x2, y2 }: Box, margin: number, { width, height }: Pick<Pixels, 'width' | 'height'>): View | null {
  const [across, down] = [(x2 - x1) * margin, (y2 - y1) * margin];
  const [left, top] = [Math.max(0, Math.floor(x1 - across)), Math.max(0, Math.floor(y1 - down))];
  const [right, bottom] = [Math.min(width, Math.ceil(x2 + across)), Math.min(height, Math.ceil(y2 + down))];
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
}

/** Covers the views in the picture itself, in the threads of libvips. */
export async function cover(picture: Pixels, views: readonly View[], covering: Exclude<Covering, 'off'>): Promise<void> {
  // One after the other: where two overlap, the second one covers what the first has left.
  for (const view of views) lay(picture, view, await coveredPart(picture, view, covering));
}

async function coveredPart({ pixels, width, height }: Pixels, view: View, covering: Exclude<Covering, 'off'>): Promise<Buffer> {
  const longer = Math.max(view.width, view.height);
  const grid = {
    width: Math.max(1, Math.min(view.width, Math.round((cells * view.width) / longer))),
    height: Math.max(1, Math.min(view.height, Math.round((cells * view.height) / longer))),
  };
  // A triangle as wide as two cells: an average that takes all of the cell in, unlike a point of it.
  const averages = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .extract(view)
    .resize({ ...grid, fit: 'fill', kernel: 'linear' })
    .raw()
    .toBuffer();
  return sharp(averages, { raw: { ...grid, channels: 3 } })
    .resize({ width: view.width, height: view.height, fit: 'fill', kernel: covering === 'pixelate' ? 'nearest' : 'cubic' })
    .raw()
    .toBuffer();
}

function lay({ pixels, width }: Pixels, view: View, part: Buffer): void {
  for (let y = 0; y < view.height; y++) {
    part.copy(pixels, ((view.top + y) * width + view.left) * 3, y * view.width * 3, (y + 1) * view.width * 3);
  }
}
