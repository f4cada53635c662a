/** The sink's settings: how much one insert takes. */
import { z } from 'zod';

/** Classes of data that are kept each for a time of its own (retention.ts). */
export const keptClasses = ['rows', 'embeddings', 'rollups', 'drift', 'frames'] as const;
export type KeptClass = (typeof keptClasses)[number];

/** A DateTime ends in 2106: a TTL beyond it would begin anew, and all would expire at once. */
export const mostDays = 20_000;

const count = z.coerce.number().int().positive();

export const sinkConfig = z.object({
  /** Records of one insert at most. ClickHouse wants few and large ones, and gets as large ones as gather while others are under way. */
  records: count.default(10_000),
  /** Bytes of one insert, counted as they came from the topic. */
  bytes: count.default(16 * 1024 * 1024),
  /** Milliseconds the first record of an insert waits for company: what a prediction is late in SQL at most. */
  waitMs: z.coerce.number().int().nonnegative().default(200),
  /** The same while inserts follow each other: an insert costs ClickHouse as much as hundreds of rows. */
  steadyWaitMs: z.coerce.number().int().nonnegative().default(1_000),
  /** Milliseconds without another record after which an insert waits no longer: the last ones of a burst are soon in SQL too. */
  quietMs: z.coerce.number().int().nonnegative().default(250),
  /** Inserts under way at once: one is encoded while the other is stored. */
  concurrency: count.default(2),
});

export type SinkConfig = z.infer<typeof sinkConfig>;
