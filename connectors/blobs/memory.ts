/** Blobs in this process, for the in-process log and for tests. */
import type { BlobStore } from '../ports.ts';
import { SaccadeError } from '../errors.ts';
import { safeName } from './names.ts';
import { surplus } from './surplus.ts';

export interface MemoryBlobsOptions {
  /** `put` throws blobs_unavailable beyond this: no blob is dropped to make room, only age deletes. */
  readonly maxBytes?: number;
  readonly now?: () => number;
}

export function memoryBlobs({ maxBytes = 256 * 1024 * 1024, now = Date.now }: MemoryBlobsOptions = {}): BlobStore {
  const blobs = new Map<string, { bytes: Buffer; at: number }>();
  let held = 0;

  return {
    kind: 'memory',
    async put(name, bytes) {
      const before = blobs.get(safeName(name))?.bytes.length ?? 0;
      if (held - before + bytes.length > maxBytes) throw new SaccadeError('blobs_unavailable', `More than ${maxBytes} bytes do not fit.`);
      held += bytes.length - before;
      // A copy: the caller's buffer is often a view into something larger.
      blobs.set(name, { bytes: Buffer.from(bytes), at: now() });
      return name;
    },
    async get(claim) {
      const blob = blobs.get(safeName(claim));
      if (blob === undefined) throw new SaccadeError('blob_missing', claim);
      return blob.bytes;
    },
    async expire(ageMs) {
      const old = [...blobs].filter(([name, { at }]) => now() - at > (typeof ageMs === 'number' ? ageMs : ageMs(name)));
      for (const [name, { bytes }] of old) {
        blobs.delete(name);
        held -= bytes.length;
      }
      return old.length;
    },
    async trim(most, holderOf = () => '') {
      const gone = surplus([...blobs].map(([name, { bytes, at }]) => ({ name, size: bytes.length, at, holder: holderOf(name) })), most);
      for (const { name, size } of gone) {
        blobs.delete(name);
        held -= size;
      }
      return gone.map(({ name }) => name);
    },
  };
}
