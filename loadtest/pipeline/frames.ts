/** The pictures of the bench: 640 x 480 JPEGs of different content, each record's bytes its own. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import type { LogProducer, OutgoingRecord } from '../../connectors/ports.ts';

export const partitions = 4;
/** Of different content; the decoder's and the model's work depends on it but little. */
const distinct = 48;
const perRequest = 64;

/** Parts of the bundled photos, at quality 85, as files 00.jpg … in `folder` (the bare loops read them there). */
export async function makePictures(folder: string): Promise<Buffer[]> {
  mkdirSync(folder, { recursive: true });
  const photos = ['astronaut', 'coffee', 'chelsea'].map((name) => readFileSync(new URL(`../../media/${name}.jpg`, import.meta.url)));
  const pictures: Buffer[] = [];
  for (let i = 0; i < distinct; i++) {
    const photo = sharp(photos[i % photos.length]);
    const { width, height } = await photo.metadata();
    const share = 0.5 + (i / distinct) * 0.5;
    const part = { width: Math.floor(width * share), height: Math.floor(height * share) };
    const region = { ...part, left: Math.floor(((width - part.width) * (i % 5)) / 4), top: Math.floor(((height - part.height) * (i % 7)) / 6) };
    const picture = await photo.extract(region).resize(640, 480, { fit: 'fill' }).jpeg({ quality: 85 }).toBuffer();
    writeFileSync(join(folder, `${String(i).padStart(2, '0')}.jpg`), picture);
    pictures.push(picture);
  }
  return pictures;
}

/** Puts `count` pictures into a topic, evenly over its partitions; the sources are named after the run. */
export async function produceFrames(producer: LogProducer, topic: string, pictures: readonly Buffer[], count: number, run: string): Promise<void> {
  for (let from = 0; from < count; from += perRequest) {
    const records = Array.from({ length: Math.min(perRequest, count - from) }, (_, k): OutgoingRecord => {
      const i = from + k;
      const partition = i % partitions;
      return { topic, partition, key: `${run}-${partition}`, value: numbered(pictures[i % pictures.length]!, `${run} ${i}`) };
    });
    await producer.send(records);
  }
}

/** With a comment in it: no two frames are the same file, or a cache of answers would be what is measured. */
function numbered(jpeg: Buffer, comment: string): Buffer {
  const head = Buffer.from([0xff, 0xfe, 0, comment.length + 2]);
  return Buffer.concat([jpeg.subarray(0, 2), head, Buffer.from(comment), jpeg.subarray(2)]);
}
