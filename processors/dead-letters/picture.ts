/** The picture in a dead letter, as far as there is one: with its faces covered, where its tenant's policy says so. */
import sharp from 'sharp';
import { asSaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, LogRecord } from '../../connectors/ports.ts';
import type { Frame, FrameIn, Tensor } from '../../schemas/records.ts';
import { describeTopic, isPlainValue } from '../../schemas/topics.ts';
import { homeOf } from './letter.ts';
import { withPayload } from './payload.ts';
import type { World } from './world.ts';

export interface Picture {
  readonly bytes: Buffer;
  /** jpg, png or webp; bin when the bytes are no picture that can be read. */
  readonly extension: string;
  /** What it shows. */
  readonly note: string;
}

/** A sentence instead, when the record has no picture or none can be got at. */
export type MaybePicture = Picture | { readonly none: string };

type Means = Pick<World, 'registry' | 'blobs' | 'masker' | 'tenantOf'>;

/** Bytes that may be a picture, what they are, and whose; tenant null: nobody knows. */
interface Found {
  readonly bytes: Buffer;
  readonly what: string;
  readonly tenant: string | null;
}

export async function pictureOf(letter: LogRecord, means: Means): Promise<MaybePicture> {
  try {
    const found = await find(await withPayload(letter, means.blobs), means);
    return 'none' in found ? found : await shown(found, means);
  } catch (error) {
    return { none: asSaccadeError(error).message };
  }
}

async function find(record: LogRecord, means: Means): Promise<Found | { none: string }> {
  const { value } = record;
  if (value === null || value.length === 0) return { none: 'The record has no payload.' };
  const home = homeOf(record.topic);
  const description = describeTopic(home);
  if (!description?.schema) return { bytes: value, what: 'its bytes', tenant: null };
  if (isPlainValue(description, value)) return { bytes: value, what: 'its bytes, as the producer sent them', tenant: means.tenantOf(home) };
  return encoded(description.schema, await means.registry.decode(home, value), means.blobs, means.tenantOf(home));
}

async function encoded(schema: string, value: unknown, blobs: BlobStore, own: string | null): Promise<Found | { none: string }> {
  if (schema === 'frame-in') return { bytes: (value as FrameIn).image, what: 'the image offered', tenant: own };
  if (schema === 'frame') {
    const { image, claim, tenant } = value as Frame;
    if (image !== null) return { bytes: image, what: 'the frame', tenant };
    if (claim === null) return { none: 'The frame carries neither an image nor a claim check.' };
    return { bytes: await blobs.get(claim), what: 'the frame, by its claim check', tenant };
  }
  if (schema === 'tensor') {
    const { pixels, width, height, model, tenant } = value as Tensor;
    const bytes = await sharp(pixels, { raw: { width, height, channels: 3 } }).png().toBuffer();
    return { bytes, what: `what ${model} was to see`, tenant };
  }
  return { none: `A ${schema} carries no picture.` };
}

/** Uncovered, only the header is read: an image that breaks off later is still worth a look. What is to be covered has to be whole. */
async function shown({ bytes: raw, what, tenant }: Found, { masker }: Means): Promise<MaybePicture> {
  if (raw.length === 0) return { none: 'The image is empty.' };
  const masked = await masker.mask(raw, tenant);
  const bytes = masked?.bytes ?? raw;
  try {
    const { format, width, height } = await sharp(bytes).metadata();
    return { bytes, extension: format === 'jpeg' ? 'jpg' : format, note: `${what}, ${width}×${height}${masked ? ', its faces covered' : ''}` };
  } catch {
    return { bytes, extension: 'bin', note: `${what}, which no decoder takes for a picture; it begins with ${bytes.subarray(0, 8).toString('hex')}` };
  }
}
