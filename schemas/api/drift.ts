/** Windows of the streams beside what is normal, and the alerts that follow from them. */
import { z } from 'zod';
import { wholeNumber } from './query.ts';

const name = z.string().min(1).max(256);
const count = z.int().min(0);
const shares = z.array(z.number());

export const driftQuerySchema = z.strictObject({
  source: name.optional(),
  model: name.optional(),
  hours: wholeNumber(1, 720).optional().describe('How far back the windows go; without it 24.'),
});

const verdict = z.enum(['stable', 'drifted', 'no_reference', 'too_few', 'sum']);

export const driftFeatureSchema = z
  .object({
    name: z.string(),
    group: z.string().describe('input, prediction or embedding.'),
    statistic: z.string().describe('psi, ks, js, rate, mean_shift, mmd or auc.'),
    value: z.number(),
    p: z.number().nullable().describe('How often chance alone makes it as large.'),
    q: z.number().nullable().describe('The same, adjusted for all features of the window.'),
    moved: z.boolean(),
    mean: z.number().nullable(),
    reference_mean: z.number().nullable(),
    edges: shares.describe('Of the bins; empty for classes and embeddings.'),
    labels: z.array(z.string()).describe('Of the bars, for classes.'),
    now: shares,
    reference: shares,
  })
  .meta({ id: 'DriftFeature' });

const share = z.number().min(0).max(1);
const accuracySchema = z
  .object({ estimate: share, low: share.describe('The true share lies between low and high in 95 of 100 windows.'), high: share, normal: share.describe('The same estimate for the reference.') })
  .describe('How often the answers are right, estimated without their labels.');

export const alertSchema = z
  .object({
    id: z.uuid(),
    source: z.string(),
    kind: z.string(),
    status: z.enum(['firing', 'resolved']),
    sentence: z.string(),
    models: z.array(z.string()),
    features: z.array(z.string()),
    started_at: z.iso.datetime(),
    changed_at: z.iso.datetime(),
    resolved_at: z.iso.datetime().nullable(),
    examples: z.array(z.uuid()).describe('Frames to look at.'),
  })
  .meta({ id: 'Alert' });

const judgedSchema = z.object({
  start: z.iso.datetime(),
  end: z.iso.datetime(),
  frames: count,
  verdict,
  reference: z.string().nullable().describe('Version of the reference.'),
  sentence: z.string().nullable(),
  examples: z.array(z.uuid()),
  accuracy: accuracySchema.nullable().describe('Null until the reference is calibrated (saccade drift calibrate).'),
  features: z.array(driftFeatureSchema),
});

export const driftSchema = z
  .object({
    alerts: z.array(alertSchema).describe('Those that are open, and those of the time asked for; newest first, 100 at most.'),
    streams: z.array(
      z.object({
        source: z.string(),
        model: z.string(),
        version: z.string().nullable(),
        latest: judgedSchema,
        hour: judgedSchema.nullable().describe('The last full hour, which is judged too and may tell of what no five minutes show. Null: there was none in the time asked for.'),
        history: z.array(z.object({ start: z.iso.datetime(), end: z.iso.datetime(), frames: count, verdict, moved: z.array(z.string()), accuracy: share.nullable() })).describe('Oldest first.'),
      }),
    ).describe('100 at most.'),
  })
  .meta({ id: 'Drift' });

export type DriftQuery = z.infer<typeof driftQuerySchema>;
export type Drift = z.infer<typeof driftSchema>;
