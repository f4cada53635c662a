import { z } from 'zod';

export const maskConfig = z.strictObject({
  /** Certainty from which something counts as a face. Lower than a detector's usual: a face too many is covered, one too few is shown. */
  score: z.number().min(0).max(1).default(0.4),
  /** What is covered around a face, as a share of its width and height on each side: hair, ears and chin tell who it is too. */
  margin: z.number().min(0).max(2).default(0.25),
});

export type MaskConfig = z.infer<typeof maskConfig>;
