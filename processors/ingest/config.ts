import { z } from 'zod';

export const ingestConfig = z.strictObject({
  /** Largest encoded image accepted, in bytes: with the record's other fields it fits the record limit. */
  maxImageBytes: z.number().int().positive().default(32 * 1024 * 1024),
  /** Above this many bytes the image travels as a claim check. */
  claimCheckBytes: z.number().int().positive().default(1024 * 1024),
});

export type IngestConfig = z.infer<typeof ingestConfig>;
