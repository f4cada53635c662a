/** Pictures to offer: cut from the photos in media/, each in another place, so that no two have the same pixels. */
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

export interface Pictures {
  /** A JPEG of 320 x 240. The same number gives the same picture; `comments` make it larger, and no more work to decode. */
  picture(n: number, comments?: readonly string[]): Promise<Buffer>;
}

/** Of width and height of the photo. */
const part = 0.7;

export async function preparePictures(): Promise<Pictures> {
  const photos = await Promise.all(
    ['astronaut', 'coffee', 'chelsea'].map((name) =>
      sharp(fileURLToPath(new URL(`../../../media/${name}.jpg`, import.meta.url))).removeAlpha().raw().toBuffer({ resolveWithObject: true }),
    ),
  );
  return {
    async picture(n, comments = []) {
      const { data, info } = photos[n % photos.length]!;
      const [width, height] = [Math.floor(info.width * part), Math.floor(info.height * part)];
      const across = info.width - width;
      const at = Math.floor(n / photos.length);
      const place = { left: at % across, top: Math.floor(at / across) % (info.height - height) };
      const { width: w, height: h, channels } = info;
      const jpeg = await sharp(data, { raw: { width: w, height: h, channels } }).extract({ ...place, width, height }).resize(320, 240, { fit: 'fill' }).jpeg({ quality: 80 }).toBuffer();
      return withComments(jpeg, comments);
    },
  };
}

/** A COM segment for each comment, right after the start of the image. */
function withComments(jpeg: Buffer, comments: readonly string[]): Buffer {
  const segments = comments.flatMap((comment) => {
    const text = Buffer.from(comment);
    const head = Buffer.from([0xff, 0xfe, 0, 0]);
    head.writeUInt16BE(text.length + 2, 2);
    return [head, text];
  });
  return Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
}
