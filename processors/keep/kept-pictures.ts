/** The pictures that are kept, by their frames: with faces covered where their tenant wants that. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, Masker, Shown } from '../../connectors/ports.ts';
import { sniffImage } from '../../schemas/image-type.ts';

export interface Stored {
  /** Its name in the blob store. */
  readonly blob: string;
  readonly content_type: string;
  /** Bytes. */
  readonly size: number;
  /** Faces have been looked for, and covered. */
  readonly masked: boolean;
}

export interface KeptPictures {
  /** Throws masking_unavailable, blobs_unavailable, and what is said of pictures that cannot be decoded. */
  put(tenant: string, frameId: string, picture: Buffer): Promise<Stored>;
  /** As it may be shown; null when it is not kept. Throws blobs_unavailable, masking_unavailable. */
  get(tenant: string, frameId: string): Promise<Shown | null>;
}

const asCame = (bytes: Buffer): Shown => ({ contentType: sniffImage(bytes) ?? 'application/octet-stream', bytes });

/** As this tenant's pictures may be shown. Throws what a masker throws. */
export const showable = async (masker: Masker, bytes: Buffer, tenant: string): Promise<Shown> => (await masker.mask(bytes, tenant)) ?? asCame(bytes);

/** A tenant's name may begin with a dot, a blob's may not. */
const nameOf = (tenant: string, frameId: string, masked: boolean): string => `_${tenant}/${frameId}${masked ? '.masked' : ''}`;

/** Whose picture lies under this name. */
export const tenantOf = (name: string): string => name.slice(1).split('/')[0]!;

export function keptPictures({ blobs, masker }: { readonly blobs: Pick<BlobStore, 'put' | 'get'>; readonly masker: Masker }): KeptPictures {
  async function find(name: string): Promise<Buffer | null> {
    try {
      return await blobs.get(name);
    } catch (error) {
      if (error instanceof SaccadeError && error.code === 'blob_missing') return null;
      throw error;
    }
  }

  return {
    async put(tenant, frameId, picture) {
      const masked = await masker.mask(picture, tenant);
      const { contentType: content_type, bytes } = masked ?? asCame(picture);
      const blob = await blobs.put(nameOf(tenant, frameId, masked !== null), bytes);
      return { blob, content_type, size: bytes.length, masked: masked !== null };
    },
    async get(tenant, frameId) {
      const masked = await find(nameOf(tenant, frameId, true));
      if (masked) return asCame(masked);
      const bytes = await find(nameOf(tenant, frameId, false));
      // Kept while nothing was to be covered: what holds is what the tenant wants by now.
      return bytes && showable(masker, bytes, tenant);
    },
  };
}
