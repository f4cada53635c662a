/** The last pictures of each source, bounded in bytes over all of them. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, Masker, Shown } from '../../connectors/ports.ts';
import type { Frame } from '../../schemas/records.ts';

export interface Pictures {
  keep(frame: Pick<Frame, 'id' | 'source' | 'tenant' | 'content_type' | 'image' | 'claim'>): void;
  has(frameId: string): boolean;
  /**
   * As it may be shown. Null when it is not, or no longer, held, and for another tenant than its own. Throws blobs_unavailable
   * when a claim can't be redeemed at present, and where faces are to be covered what a masker throws.
   */
  get(frameId: string, tenant: string): Promise<Shown | null>;
  clear(): void;
  /** Bytes held. */
  size(): number;
}

interface Held {
  readonly tenant: string;
  /** Its name is its tenant's affair: another's may have the same. */
  readonly source: string;
  readonly contentType: string;
  readonly bytes: Buffer | null;
  readonly claim: string | null;
  /** It has been through the masker. */
  readonly masked: boolean;
}

export interface PicturesOptions {
  /** A claim check is redeemed only when somebody asks for the picture; without a store such a frame has none. */
  readonly blobs?: Pick<BlobStore, 'get'> | undefined;
  /** Without it pictures are shown as they came. */
  readonly masker?: Masker | undefined;
}

/** What an entry without bytes of its own (a claim check) counts, so that their number is bounded too. */
const ENTRY_BYTES = 1024;

export function pictures(maxBytes: number, { blobs, masker }: PicturesOptions = {}): Pictures {
  const held = new Map<string, Held>();
  const bySource = new Map<string, { bytes: number; ids: Set<string> }>();
  /** Viewers who ask for the same picture at once wait for the same work. */
  const underWay = new Map<string, Promise<Shown | null>>();
  let total = 0;

  const weight = (entry: Held): number => ENTRY_BYTES + (entry.bytes?.length ?? 0);
  const forget = (id: string): void => {
    const entry = held.get(id)!;
    const of = bySource.get(entry.source)!;
    held.delete(id);
    of.ids.delete(id);
    of.bytes -= weight(entry);
    total -= weight(entry);
    if (of.ids.size === 0) bySource.delete(entry.source);
  };
  /** The oldest of whichever source holds most, so that a source of large pictures does not push out the others'. */
  const makeRoom = (): void => {
    if (total <= maxBytes) return;
    let largest: { bytes: number; ids: Set<string> } | undefined;
    for (const of of bySource.values()) if (!largest || of.bytes > largest.bytes) largest = of;
    forget(largest!.ids.values().next().value!);
    makeRoom();
  };
  const add = (id: string, entry: Held): void => {
    held.set(id, entry);
    const of = bySource.get(entry.source) ?? { bytes: 0, ids: new Set() };
    bySource.set(entry.source, of);
    of.ids.add(id);
    of.bytes += weight(entry);
    total += weight(entry);
    makeRoom();
  };
  /** In its old place: a picture does not become a new one by being looked at. */
  const replace = (id: string, before: Held, entry: Held): void => {
    if (held.get(id) !== before) return;
    const growth = weight(entry) - weight(before);
    held.set(id, entry);
    bySource.get(entry.source)!.bytes += growth;
    total += growth;
    makeRoom();
  };

  async function shown(id: string, entry: Held): Promise<Shown | null> {
    const { contentType, claim, tenant } = entry;
    const bytes = entry.bytes ?? (await redeemed(claim!));
    if (!bytes || entry.masked) return bytes && { contentType, bytes };
    const masked = await masker?.mask(bytes, tenant);
    if (!masked) return { contentType, bytes };
    // In place of the picture as it came: that is not needed any more.
    replace(id, entry, { ...entry, ...masked, masked: true });
    return masked;
  }

  async function redeemed(claim: string): Promise<Buffer | null> {
    try {
      return await blobs!.get(claim);
    } catch (error) {
      if (error instanceof SaccadeError && error.code === 'blob_missing') return null;
      throw error;
    }
  }

  return {
    keep({ id, source, tenant, content_type: contentType, image, claim }) {
      if (held.has(id) || (image === null && (claim === null || !blobs))) return;
      // Copied: a slice would keep the whole fetch it came with in memory.
      add(id, { source: `${tenant}/${source}`, tenant, contentType, bytes: image === null ? null : Buffer.from(image), claim, masked: false });
    },
    has: (id) => held.has(id),
    async get(id, tenant) {
      const entry = held.get(id);
      if (!entry || entry.tenant !== tenant) return null;
      const running = underWay.get(id) ?? shown(id, entry).finally(() => underWay.delete(id));
      underWay.set(id, running);
      return running;
    },
    clear() {
      held.clear();
      bySource.clear();
      total = 0;
    },
    size: () => total,
  };
}
