/** The settings of drift. */
import { z } from 'zod';

const count = z.coerce.number().int().positive();

export const driftConfig = z.object({
  /** Share of false ones among the features of a window that are said to have moved. What it comes to in alerts: `npm run bench -- drift`. */
  alpha: z.coerce.number().positive().max(0.5).default(0.000_03),
  /** Sources watched at once by a process, each of them some kilobytes; of more, those that come last are left out. */
  mostSources: count.default(5_000),
  records: count.default(5_000),
  bytes: count.default(16 * 1024 * 1024),
  /** Milliseconds the first record of a batch waits for company. The state of each source in a batch is written once for it. */
  waitMs: z.coerce.number().int().nonnegative().default(5_000),
});

export type DriftConfig = z.infer<typeof driftConfig>;
