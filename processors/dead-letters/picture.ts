/** The picture in a dead letter, as far as there is one. */
import sharp from 'sharp';
import { asSaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, LogRecord, SchemaRegistry } from '../../connectors/ports.ts';
import type { Frame, FrameIn, Tensor } from '../../schemas/records.ts';
import { describeTopic } from '../../schemas/topics.ts';
import { homeOf } from './letter.ts';
import { withPayload } from './payload.ts';

export interface Picture {
  readonly bytes: Buffer;
  /** jpg, png or webp; bin when the bytes are no picture that can be read. */
  readonly extension: string;
  /** What it shows. */
  readonly note: string;
}

/** A sentence instead, when the record has no picture or none can be got at. */
export type MaybePicture = Picture | { readonly none: string };

/** Wire format of Avro values; no image begins with it. */
const wireMagic = 0;

export async function pictureOf(letter: LogRecord, registry: SchemaRegistry, blobs: BlobStore): Promise<MaybePicture> {
  try {
    return await look(await withPayload(letter, blobs), registry, blobs);
  } catch (error) {
    return { none: asSaccadeError(error).message };
  }
}

async function look(record: LogRecord, registry: SchemaRegistry, blobs: BlobStore): Promise<MaybePicture> {
  const { value } = record;
  if (value === null || value.length === 0) return { none: 'The record has no payload.' };
  const home = homeOf(record.topic);
  const description = describeTopic(home);
  if (!description?.schema) return named(value, 'its bytes');
  if (description.plainBytes && value[0] !== wireMagic) return named(value, 'its bytes, as the producer sent them');
  return encoded(description.schema, await registry.decode(home, value), blobs);
}

async function encoded(schema: string, value: unknown, blobs: BlobStore): Promise<MaybePicture> {
  if (schema === 'frame-in') return named((value as FrameIn).image, 'the image offered');
  if (schema === 'frame') {
    const { image, claim } = value as Frame;
    if (image !== null) return named(image, 'the frame');
    if (claim === null) return { none: 'The frame carries neither an image nor a claim check.' };
    return named(await blobs.get(claim), 'the frame, by its claim check');
  }
  if (schema === 'tensor') {
    const { pixels, width, height, model } = value as Tensor;
    const bytes = await sharp(pixels, { raw: { width, height, channels: 3 } }).png().toBuffer();
    return { bytes, extension: 'png', note: `what ${model} was to see, ${width}×${height}` };
  }
  return { none: `A ${schema} carries no picture.` };
}

/** Only the header is read: an image that breaks off later is still worth a look. */
async function named(bytes: Buffer, what: string): Promise<MaybePicture> {
  if (bytes.length === 0) return { none: 'The image is empty.' };
  try {
    const { format, width, height } = await sharp(bytes).metadata();
    return { bytes, extension: format === 'jpeg' ? 'jpg' : format, note: `${what}, ${width}×${height}` };
  } catch {
    return { bytes, extension: 'bin', note: `${what}, which no decoder takes for a picture; it begins with ${bytes.subarray(0, 8).toString('hex')}` };
  }
}
