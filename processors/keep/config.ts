/** Which frames are kept. */
import { z } from 'zod';

const share = z.number().min(0).max(1);

export const keepConfig = z.strictObject({
  /** Of each stretch of so many milliseconds, by when frames were accepted, one frame of each source is kept, and the least sure one of each model. */
  everyMs: z.number().int().positive().default(300_000),
  /** Scores of a best answer that is unsure, as the worked question label-next asks; the middle is the least sure. */
  low: share.default(0.25),
  high: share.default(0.5),
  /** Sources, and models of sources, that are remembered at once. Names come from outside: of more, those unused longest begin anew. */
  most: z.number().int().positive().default(10_000),
  records: z.number().int().positive().default(2_000),
  bytes: z.number().int().positive().default(16 * 1024 * 1024),
  waitMs: z.number().int().nonnegative().default(2_000),
});

export type KeepConfig = z.infer<typeof keepConfig>;
