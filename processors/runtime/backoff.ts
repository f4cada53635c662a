/** Waits that grow and never fall in step: exponential with full jitter, so that stages which failed together do not come back together. */

export interface Backoff {
  /** Milliseconds to wait before the next attempt. */
  next(): number;
  reset(): void;
}

export function backoff(firstMs: number, limitMs: number, random: () => number = Math.random): Backoff {
  let attempt = 0;
  return {
    next() {
      const ceiling = Math.min(limitMs, firstMs * 2 ** attempt);
      attempt += 1;
      // Never under half of the ceiling: a retry at once would be a hot loop.
      return ceiling * (0.5 + random() / 2);
    },
    reset() {
      attempt = 0;
    },
  };
}
