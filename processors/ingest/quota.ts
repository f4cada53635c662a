/**
 * How many frames of a source go in at once: a token bucket for each source. Time is that of the frames (when the log got
 * them), not that of the reading, so a backlog that is caught up after a pause is no flood, and a repeat is counted alike.
 */

export interface QuotaRules {
  /** Frames a second that each source may send for ever. */
  readonly framesPerSecond: number;
  /** Frames it may send at once. */
  readonly burst: number;
  /** How long a source that was over must have stayed under before it counts as calm, in milliseconds. */
  readonly calmMs: number;
}

export interface Quota {
  /** Counts a frame that came at `at` (milliseconds since the epoch); false when it is above the quota. */
  take(source: string, at: number): boolean;
  /** Whether the source has been under its quota for `calmMs`. */
  calm(source: string, at: number): boolean;
  /** Sources remembered. */
  readonly size: number;
}

interface Bucket {
  tokens: number;
  at: number;
  /** When it was last over; null: never. */
  overAt: number | null;
}

/** Above it, sources whose bucket is full again are forgotten: they are as they were before. */
const manySources = 10_000;

export function quota({ framesPerSecond, burst, calmMs }: QuotaRules): Quota {
  const buckets = new Map<string, Bucket>();
  const refillMs = Math.max(calmMs, (burst / framesPerSecond) * 1000);
  let forgetAbove = manySources;

  function bucketOf(source: string, at: number): Bucket {
    const known = buckets.get(source);
    if (known) return known;
    if (buckets.size >= forgetAbove) {
      for (const [name, bucket] of buckets) if (at - bucket.at > refillMs) buckets.delete(name);
      // Where nothing could be forgotten, looking again at every newcomer would cost more than the memory.
      forgetAbove = Math.max(manySources, 2 * buckets.size);
    }
    const fresh: Bucket = { tokens: burst, at, overAt: null };
    buckets.set(source, fresh);
    return fresh;
  }

  return {
    take(source, at) {
      const bucket = bucketOf(source, at);
      // A producer's clock may go back; what was taken stays taken.
      if (at > bucket.at) {
        bucket.tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) * framesPerSecond) / 1000);
        bucket.at = at;
      }
      if (bucket.tokens < 1) {
        bucket.overAt = bucket.at;
        return false;
      }
      bucket.tokens -= 1;
      return true;
    },
    calm(source, at) {
      const overAt = buckets.get(source)?.overAt ?? null;
      return overAt === null || at - overAt >= calmMs;
    },
    get size() {
      return buckets.size;
    },
  };
}
