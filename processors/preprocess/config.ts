import { z } from 'zod';

/** 16383 x 16383: beyond it nobody has tried the decoder. */
export const mostPixels = 268_402_689;

export const preprocessConfig = z.strictObject({
  /** Most pixels a picture may have, by its header; more is refused before a pixel is decoded. 50 million: a 300 MB bitmap at 16 bits. */
  maxPixels: z.number().int().positive().max(mostPixels).default(50_000_000),
  /** Seconds one picture may take to decode: a file made to be slow holds up nobody for longer. */
  decodeSeconds: z.number().int().min(1).max(600).default(20),
});

export type PreprocessConfig = z.infer<typeof preprocessConfig>;
/** What one picture may cost. */
export type DecodeLimits = Pick<PreprocessConfig, 'maxPixels' | 'decodeSeconds'>;
