/** Pictures with their faces covered: the one way by which a picture is shown or kept where a tenant's policy says so. */
import sharp from 'sharp';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Masker, Shown } from '../../connectors/ports.ts';
import { sniffImage } from '../../schemas/image-type.ts';
import type { Covering } from '../../schemas/policies.ts';
import { type Box, cover, type Pixels, widened } from './cover.ts';
import { coveringFor, type MaskPolicy } from './policy.ts';

export interface MaskerOptions {
  /** As it stands when a picture comes. */
  readonly policy: () => MaskPolicy | Promise<MaskPolicy>;
  /** As a share of a face's width and height, on each side. */
  readonly margin: number;
  /** The whole picture, upright. Throws what is wrong with it. */
  readonly decode: (picture: Buffer) => Promise<Pixels>;
  /** The faces in it. Throws what keeps them from being looked for. */
  readonly faces: (picture: Pixels) => Promise<readonly Box[]>;
  /** Bounds how many pictures are in work at once: each is held whole, decoded. */
  readonly turn: <T>(task: () => Promise<T>) => Promise<T>;
}

/** Of what is written again: the picture was lossy before, and is to lose next to nothing. */
const quality = 90;

/** `told`: why faces cannot be covered, and null when they can again. */
export function masker({ policy, margin, decode, faces, turn }: MaskerOptions, told: (trouble: string | null) => void = () => {}): Masker {
  async function find(bitmap: Pixels): Promise<readonly Box[]> {
    try {
      const found = await faces(bitmap);
      told(null);
      return found;
    } catch (cause) {
      const { message } = asSaccadeError(cause);
      told(message);
      throw new SaccadeError('masking_unavailable', message, cause);
    }
  }

  async function covered(picture: Buffer, covering: Exclude<Covering, 'off'>): Promise<Shown> {
    const bitmap = await decode(picture);
    const views = (await find(bitmap)).flatMap((box) => widened(box, margin, bitmap) ?? []);
    await cover(bitmap, views, covering);
    return written(bitmap, sniffImage(picture));
  }

  return {
    async mask(picture, tenant) {
      const covering = coveringFor(await policy(), tenant);
      return covering === 'off' ? null : turn(() => covered(picture, covering));
    },
  };
}

/**
 * Always written anew, also where no face was found: beside the picture a file may hold a smaller one in its EXIF block, more
 * frames, or the place where it was taken.
 */
async function written({ pixels, width, height }: Pixels, contentType: string | null): Promise<Shown> {
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  if (contentType === 'image/png') return { contentType, bytes: await image.png({ compressionLevel: 3 }).toBuffer() };
  if (contentType === 'image/webp') return { contentType, bytes: await image.webp({ quality }).toBuffer() };
  return { contentType: 'image/jpeg', bytes: await image.jpeg({ quality }).toBuffer() };
}
