/** From the bytes of a JPEG, PNG or WebP to one upright 8-bit sRGB bitmap that every model's tensor is cut from. */
import sharp from 'sharp';
import { SaccadeError } from '../../connectors/errors.ts';
import { sniffImage } from '../../schemas/image-type.ts';
import type { ModelCard } from '../../schemas/model-card.ts';
import type { DecodeLimits } from './config.ts';
import { shrinkFor, shrunk, type Size } from './region.ts';

/** Upright RGB, width x height x 3 bytes. */
export interface Bitmap extends Size {
  readonly pixels: Buffer;
  /** Size of the upright original, of which the bitmap may be a smaller rendering. */
  readonly original: Size;
}

/**
 * Each choice, and why:
 * - failOn 'error' refuses truncated and broken data, yet takes files with mere warnings (stray bytes between markers, a
 *   sloppy EXIF block), which cameras do write;
 * - transparent pixels are laid on white, as a browser's page shows them and as product photos are meant;
 * - an embedded ICC profile is converted to sRGB, CMYK and greyscale too, 16 bits to 8;
 * - the first frame of an animation stands for it.
 *
 * `inputs`: of the models that tensors are to be cut for, which may allow a smaller rendering; null: in full size.
 *
 * Throws payload_empty, unsupported_media_type, too_many_pixels (by the header, before decoding), undecodable_image.
 */
export async function decodeImage(bytes: Buffer, inputs: readonly ModelCard['input'][] | null, limits: DecodeLimits): Promise<Bitmap> {
  if (bytes.length === 0) throw new SaccadeError('payload_empty');
  // libvips picks a loader by magic bytes and knows many more formats (SVG reads files, PDF runs programs): three are let in.
  if (!sniffImage(bytes)) throw new SaccadeError('unsupported_media_type');
  const original = await uprightSize(bytes);
  if (original.width * original.height > limits.maxPixels) {
    throw new SaccadeError('too_many_pixels', `It has ${original.width} x ${original.height}, the limit is ${limits.maxPixels} pixels.`);
  }
  const factor = inputs === null ? 1 : shrinkFor(inputs, original);
  const image = sharp(bytes, { failOn: 'error', limitInputPixels: limits.maxPixels, sequentialRead: true })
    .autoOrient()
    .timeout({ seconds: limits.decodeSeconds });
  if (factor > 1) image.resize({ ...shrunk(original, factor), fit: 'fill', kernel: 'linear' });
  try {
    const { data, info } = await image
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new SaccadeError('undecodable_image', `It decodes to ${info.channels} channels.`);
    return { pixels: data, width: info.width, height: info.height, original };
  } catch (error) {
    throw undecodable(error);
  }
}

async function uprightSize(bytes: Buffer): Promise<Size> {
  try {
    // No limit here: the header is read, and the refusal below can say how large the picture claims to be.
    const { autoOrient } = await sharp(bytes, { failOn: 'error', limitInputPixels: false }).metadata();
    return autoOrient;
  } catch (error) {
    throw undecodable(error);
  }
}

/** libvips's messages can run over lines and hold text of the file: one line, of a bounded length. */
function undecodable(error: unknown): SaccadeError {
  if (error instanceof SaccadeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const line = message.replace(/[^\x20-\x7e]+/g, ' ').trim().slice(0, 200);
  return new SaccadeError('undecodable_image', line, error);
}
