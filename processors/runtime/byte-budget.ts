/** What a runner may hold in memory. Above `limit` fetching pauses; below half of it, it goes on: hysteresis, so it does not flutter. */

export interface ByteBudget {
  take(bytes: number): void;
  give(bytes: number): void;
  readonly used: number;
  readonly exhausted: boolean;
}

export function byteBudget(limit: number, onChange: (exhausted: boolean) => void): ByteBudget {
  let used = 0;
  let exhausted = false;
  return {
    take(bytes) {
      used += bytes;
      if (!exhausted && used > limit) {
        exhausted = true;
        onChange(true);
      }
    },
    give(bytes) {
      used -= bytes;
      if (exhausted && used <= limit / 2) {
        exhausted = false;
        onChange(false);
      }
    },
    get used() {
      return used;
    },
    get exhausted() {
      return exhausted;
    },
  };
}

/** Bytes of the buffers a decoded value holds; the rest of it is small beside them. */
export function bytesOf(value: unknown): number {
  if (Buffer.isBuffer(value)) return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let sum = 0;
  for (const field of Object.values(value)) if (Buffer.isBuffer(field)) sum += field.length;
  return sum;
}
