/** Pictures to offer: cut from the photos in media/, each with a comment of its own, so that no two are the same bytes. */
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

export interface Pictures {
  /** A JPEG of 320 x 240 that holds `comment`. */
  small(n: number, comment: string): Buffer;
  /** The same, above 1 MiB: in comments, so that it is no more work to decode. */
  large(n: number, comment: string): Buffer;
}

export async function preparePictures(): Promise<Pictures> {
  const small: Buffer[] = [];
  for (const name of ['astronaut', 'coffee', 'chelsea']) {
    const file = fileURLToPath(new URL(`../../../media/${name}.jpg`, import.meta.url));
    const { width, height } = await sharp(file).metadata();
    for (let n = 0; n < 12; n++) {
      const part = { width: Math.round(width * 0.7), height: Math.round(height * 0.7) };
      const at = { left: Math.floor(((width - part.width) * (n % 4)) / 3), top: Math.floor(((height - part.height) * Math.floor(n / 4)) / 2) };
      small.push(await sharp(file).extract({ ...part, ...at }).resize(320, 240, { fit: 'fill' }).jpeg({ quality: 80 }).toBuffer());
    }
  }
  return {
    small: (n, comment) => withComment(small[n % small.length]!, comment),
    large: (n, comment) => withComment(small[n % small.length]!, ...Array<string>(20).fill(comment.padEnd(60_000, '.'))),
  };
}

/** A COM segment for each comment, right after the start of the image. */
function withComment(jpeg: Buffer, ...comments: readonly string[]): Buffer {
  const segments = comments.flatMap((comment) => {
    const text = Buffer.from(comment);
    const head = Buffer.from([0xff, 0xfe, 0, 0]);
    head.writeUInt16BE(text.length + 2, 2);
    return [head, text];
  });
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
}
