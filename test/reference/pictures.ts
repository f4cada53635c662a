/** Pictures made to be difficult. */
import { crc32 } from 'node:zlib';
import { readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';

/** One of the bundled photos: astronaut (512 x 512), coffee (600 x 400), chelsea (451 x 300). */
export const photo = (name: string): Buffer => readFileSync(new URL(`../../media/${name}.jpg`, import.meta.url));

/** A colour the codecs keep nearly exact, in four quadrants that tell every rotation and reflection apart. */
export async function quadrants(width = 64, height = 48): Promise<Sharp> {
  const colours = ['#ff0000', '#00ff00', '#0000ff', '#ffff00'];
  const tiles = colours.map((background, i) => ({
    input: { create: { width: width / 2, height: height / 2, channels: 3 as const, background } },
    left: (i % 2) * (width / 2),
    top: Math.floor(i / 2) * (height / 2),
  }));
  return sharp(await sharp({ create: { width, height, channels: 3, background: '#000' } }).composite(tiles).png().toBuffer());
}

/** The picture as a camera held the wrong way would store it: turned, with the EXIF tag that says how to turn it back. */
export async function disoriented(upright: Buffer, orientation: number, format: 'png' | 'jpeg'): Promise<Buffer> {
  const image = sharp(upright);
  // What undoes the tag's own transformation; sharp turns after it mirrors, in a pipeline of its own.
  const turned: Record<number, (from: Sharp) => Promise<Buffer>> = {
    1: (from) => from.png().toBuffer(),
    2: (from) => from.flop().png().toBuffer(),
    3: (from) => from.rotate(180).png().toBuffer(),
    4: (from) => from.flip().png().toBuffer(),
    5: async (from) => sharp(await from.rotate(90).png().toBuffer()).flop().png().toBuffer(),
    6: (from) => from.rotate(270).png().toBuffer(),
    7: async (from) => sharp(await from.rotate(270).png().toBuffer()).flop().png().toBuffer(),
    8: (from) => from.rotate(90).png().toBuffer(),
  };
  return sharp(await turned[orientation]!(image)).withMetadata({ orientation }).toFormat(format).toBuffer();
}

/** A PNG of a header that claims a size, and hardly any data. */
export function bomb(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', header), chunk('IDAT', Buffer.alloc(16)), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(body.length + 8);
  frame.writeUInt32BE(data.length, 0);
  body.copy(frame, 4);
  frame.writeUInt32BE(crc32(body), body.length + 4);
  return frame;
}

/** The JPEG with one more segment behind its start. */
export function withSegment(jpeg: Buffer, marker: number, body: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255]);
  return Buffer.concat([jpeg.subarray(0, 2), head, body, jpeg.subarray(2)]);
}

/** The JPEG with a header that says its data are arithmetically coded (SOF9), which they are not. */
export function arithmetic(jpeg: Buffer): Buffer {
  const copy = Buffer.from(jpeg);
  copy[copy.indexOf(Buffer.from([0xff, 0xc0])) + 1] = 0xc9;
  return copy;
}

/** The grey JPEG with other sampling factors in its header: of a single component they mean nothing. */
export function greyFactors(jpeg: Buffer, factors: number): Buffer {
  const copy = Buffer.from(jpeg);
  copy[copy.indexOf(Buffer.from([0xff, 0xc0])) + 11] = factors;
  return copy;
}
