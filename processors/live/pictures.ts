/** The last pictures of each source, bounded in bytes over all of them. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore } from '../../connectors/ports.ts';
import type { Frame } from '../../schemas/records.ts';

export interface Picture {
  readonly contentType: string;
  readonly bytes: Buffer;
}

export interface Pictures {
  keep(frame: Pick<Frame, 'id' | 'source' | 'content_type' | 'image' | 'claim'>): void;
  has(frameId: string): boolean;
  /** Null when it is not, or no longer, held. Throws blobs_unavailable when a claim can't be redeemed at present. */
  get(frameId: string): Promise<Picture | null>;
  clear(): void;
  /** Bytes held. */
  size(): number;
}

interface Held {
  readonly source: string;
  readonly contentType: string;
  readonly bytes: Buffer | null;
  readonly claim: string | null;
}

/** What an entry without bytes of its own (a claim check) counts, so that their number is bounded too. */
const ENTRY_BYTES = 1024;

/** A claim check is redeemed only when somebody asks for the picture; without a store such a frame has none. */
export function pictures(maxBytes: number, blobs?: Pick<BlobStore, 'get'>): Pictures {
  const held = new Map<string, Held>();
  const bySource = new Map<string, { bytes: number; ids: Set<string> }>();
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

  return {
    keep({ id, source, content_type: contentType, image, claim }) {
      if (held.has(id) || (image === null && (claim === null || !blobs))) return;
      // Copied: a slice would keep the whole fetch it came with in memory.
      const entry: Held = { source, contentType, bytes: image === null ? null : Buffer.from(image), claim };
      held.set(id, entry);
      const of = bySource.get(source) ?? { bytes: 0, ids: new Set() };
      bySource.set(source, of);
      of.ids.add(id);
      of.bytes += weight(entry);
      total += weight(entry);
      makeRoom();
    },
    has: (id) => held.has(id),
    async get(id) {
      const entry = held.get(id);
      if (!entry) return null;
      const { contentType, bytes, claim } = entry;
      if (bytes) return { contentType, bytes };
      try {
        return { contentType, bytes: await blobs!.get(claim!) };
      } catch (error) {
        if (error instanceof SaccadeError && error.code === 'blob_missing') return null;
        throw error;
      }
    },
    clear() {
      held.clear();
      bySource.clear();
      total = 0;
    },
    size: () => total,
  };
}
