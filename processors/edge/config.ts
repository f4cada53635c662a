import { z } from 'zod';
import { graphqlConfig } from './graphql/config.ts';
import { streamConfig } from './stream/config.ts';

export const edgeConfig = z.strictObject({
  /** How long a client waits for an answer before 504, in milliseconds. */
  requestTimeoutMs: z.number().int().min(100).max(300_000).default(10_000),
  /** Requests being read or waiting at once; more are refused with 503. */
  maxWaiting: z.number().int().positive().default(256),
  /** Pictures that wait for their answers at once, over all requests; more are refused with 503. */
  maxAwaited: z.number().int().positive().default(2_048),
  /** Those of them that the pipeline gets, by model and with what streams send, are as many as it answers within that, in milliseconds (pace.ts) … */
  targetMs: z.number().int().min(1).default(500),
  /** … once no answer has been in time for so long: a burst that passes is let in. */
  lateMs: z.number().int().min(0).default(750),
  /** At first, which is also the largest burst; and at least: a few clients are never refused, however slow the model. */
  paceFirst: z.number().int().positive().default(192),
  paceLeast: z.number().int().positive().default(16),
  /** Several hundred people are no overload: where no more want to go in, they do as long as their answers take no longer than so many times the target. */
  paceCalm: z.number().int().min(0).default(192),
  calmTargets: z.number().min(1).default(4),
  /** While so many pictures or more wait for their answers, those that come gather until they are as many, but for so long at most, in milliseconds. */
  gatherFrom: z.number().int().positive().default(8),
  gatherMs: z.number().int().min(0).default(50),
  /** Bytes of one request with several pictures. */
  maxBatchBytes: z.number().int().positive().default(64 * 1024 * 1024),
  /** Bytes of their images in memory at once; a request above it is refused with 503 before it is read. */
  maxUploadBytes: z.number().int().positive().default(256 * 1024 * 1024),
  /** How long an Idempotency-Key is remembered, in milliseconds. */
  keysMs: z.number().int().positive().default(24 * 3_600_000),
  /** How long stopping waits for the answers of requests already accepted, in milliseconds. */
  drainMs: z.number().int().min(0).max(60_000).default(5_000),
  stream: streamConfig.prefault({}),
  graphql: graphqlConfig.prefault({}),
});

export type EdgeConfig = z.infer<typeof edgeConfig>;
