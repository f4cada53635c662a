import { z } from 'zod';

export const ingestConfig = z.strictObject({
  /** Largest encoded image accepted, in bytes: with the record's other fields it fits the record limit. */
  maxImageBytes: z.number().int().positive().default(32 * 1024 * 1024),
  /** Above this many bytes the image travels as a claim check. */
  claimCheckBytes: z.number().int().positive().default(1024 * 1024),
  /** Frames a second each source may send before it goes over to the overflow lane; 0: no quota. */
  quotaFps: z.number().int().min(0).max(1_000_000).default(120),
  /** Frames it may send at once. */
  quotaBurst: z.number().int().min(1).max(1_000_000).default(240),
  /** How long a source that was over its quota must keep to it before it comes back, in milliseconds. */
  calmMs: z.number().int().min(0).default(5_000),
});

export type IngestConfig = z.infer<typeof ingestConfig>;
