/** The camera of a machine without one: a window that glides over the bundled photos. */
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

export const DEMO_WIDTH = 640;
export const DEMO_HEIGHT = 480;

/** How much larger than the window a photo is made: room to move in, while its subject stays in view. */
const ROOM = 1.22;
const FRAMES_A_PHOTO = 80;

const photos = ['astronaut', 'coffee', 'chelsea'] as const;

interface Scene {
  readonly pixels: Buffer;
  readonly width: number;
  readonly height: number;
}

/** Scales the photos once (it takes some 50 ms); each frame is then a cut and an encoding. */
export async function demoCamera(): Promise<(frame: number) => Promise<Buffer>> {
  const scenes = await Promise.all(photos.map(scene));
  return (frame) => {
    const step = frame % FRAMES_A_PHOTO;
    const { pixels, width, height } = scenes[Math.floor(frame / FRAMES_A_PHOTO) % scenes.length]!;
    const turn = (2 * Math.PI * step) / FRAMES_A_PHOTO;
    // A Lissajous figure returns to where it began, so that a photo's path has no jump in it.
    const left = Math.round(((width - DEMO_WIDTH) * (1 + Math.sin(turn))) / 2);
    const top = Math.round(((height - DEMO_HEIGHT) * (1 - Math.cos(2 * turn))) / 2);
    return sharp(pixels, { raw: { width, height, channels: 3 } })
      .extract({ left, top, width: DEMO_WIDTH, height: DEMO_HEIGHT })
      .jpeg({ quality: 80 })
      .toBuffer();
  };
}

async function scene(name: (typeof photos)[number]): Promise<Scene> {
  const { data, info } = await sharp(fileURLToPath(new URL(`../../media/${name}.jpg`, import.meta.url)))
    .resize({ width: Math.ceil(DEMO_WIDTH * ROOM), height: Math.ceil(DEMO_HEIGHT * ROOM), fit: 'outside' })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height };
}
