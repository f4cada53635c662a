import { z } from 'zod';

/** What one question may cost. A question beyond it is refused by the engine with an error that names the limit. */
export const sqlLimits = z.strictObject({
  /** Seconds of the clock. */
  seconds: z.number().int().min(1).max(3600).default(30),
  /** Bytes of memory in the engine. */
  memoryBytes: z.number().int().min(16 * 1024 * 1024).default(1024 * 1024 * 1024),
  /** Rows of an answer. */
  rows: z.number().int().min(1).default(1_000_000),
  /** Bytes of an answer. All that is unread, of whichever tenant, is held to four times as much: beyond it nothing more is asked. */
  resultBytes: z.number().int().min(1).default(256 * 1024 * 1024),
  /** Questions of one process that run at once, and answers of one tenant that are being read; more wait, and are refused when too many do. */
  atOnce: z.number().int().min(1).max(64).default(2),
  /** Characters of a question. */
  characters: z.number().int().default(100_000),
});

export type SqlLimits = z.infer<typeof sqlLimits>;
