/** What has been seen, counted. */
import { z } from 'zod';
import { instant } from './query.ts';
import { statuses } from './history.ts';

const name = z.string().min(1).max(256);
const count = z.int().min(0);

export const statsQuerySchema = z.strictObject({
  source: name.optional(),
  model: name.optional(),
  since: instant.optional().describe('Without it a day before `until`.'),
  until: instant.optional().describe('Without it now.'),
});

const milliseconds = z.number().nullable();
export const latencySchema = z.object({ mean: milliseconds, p50: milliseconds, p95: milliseconds, p99: milliseconds }).meta({ id: 'Latency', description: 'Captured to completed, of what was answered; quantiles are off by 5 % at most.' });

export const statsSchema = z
  .object({
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    counted_until: z.iso.datetime().nullable().describe('How far the rollups go; null: none is built yet.'),
    uptime_seconds: z.int().min(0).describe('Of the process that answers.'),
    outcomes: z.object({ ok: count, dropped: count, dead_lettered: count }),
    models: z.array(z.object({ model: z.string(), version: z.string().nullable(), ok: count, dropped: count, dead_lettered: count, latency_ms: latencySchema, mean_score: z.number().nullable() })),
    endings: z.array(z.object({ status: z.enum(statuses), stage: z.string().nullable(), reason: z.string().nullable(), count })).describe('Why there was no answer, most frequent first.'),
    latency_ms: latencySchema,
    throughput: z.object({
      per_second: z.number().describe('Outcomes a second, over the time that is counted.'),
      step_seconds: z.int(),
      series: z.array(z.object({ at: z.iso.datetime(), ok: count, dropped: count, dead_lettered: count })),
    }),
    classes: z.array(z.object({ label: z.string(), count, mean_score: z.number() })).describe('The 50 most frequent: the best label of a classified picture, every box of a detected one.'),
    confidence: z.array(z.object({ from: z.number(), to: z.number(), count })).describe('Scores of those, in ten bins.'),
  })
  .meta({ id: 'Stats' });

export type StatsQuery = z.infer<typeof statsQuerySchema>;
export type Stats = z.infer<typeof statsSchema>;
export type Latency = z.infer<typeof latencySchema>;
