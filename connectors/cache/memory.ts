/** The cache in this process: least recently used first out, bounded in bytes. */
import type { Cache, Clock } from '../ports.ts';

export interface MemoryCacheOptions {
  readonly maxBytes: number;
  readonly clock: Pick<Clock, 'now'>;
}

interface Entry {
  readonly value: Buffer;
  readonly bytes: number;
  readonly until: number;
}

/** What an entry costs beside its key and value. An estimate. */
const entryOverheadBytes = 128;

/** A value that is larger than the whole cache is not kept. Values are copied in, and must not be written to after `get`. */
export function memoryCache({ maxBytes, clock }: MemoryCacheOptions): Cache {
  /** A Map keeps the order of insertion, so an entry that is used is put in again and the first one is the least recently used. */
  const entries = new Map<string, Entry>();
  let held = 0;

  function remove(key: string): void {
    held -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  }

  function read(key: string): Buffer | null {
    const entry = entries.get(key);
    if (entry === undefined) return null;
    if (clock.now() >= entry.until) {
      remove(key);
      return null;
    }
    entries.delete(key);
    entries.set(key, entry);
    return entry.value;
  }

  return {
    kind: 'memory',
    get: async (keys) => keys.map(read),
    async set(key, value, ttlMs) {
      remove(key);
      const bytes = Buffer.byteLength(key) + value.length + entryOverheadBytes;
      if (bytes > maxBytes || ttlMs <= 0) return;
      for (const oldest of entries.keys()) {
        if (held + bytes <= maxBytes) break;
        remove(oldest);
      }
      entries.set(key, { value: Buffer.from(value), bytes, until: clock.now() + ttlMs });
      held += bytes;
    },
    close: async () => entries.clear(),
  };
}
