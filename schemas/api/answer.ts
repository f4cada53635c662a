/** An answer to one picture. */
import { z } from 'zod';

export const labelSchema = z.object({ label: z.string(), score: z.number().min(0).max(1) }).meta({ id: 'Label' });

export const detectionSchema = labelSchema
  .extend({ box: z.array(z.number()).length(4).describe('x1, y1, x2, y2 in pixels of the upright original.') })
  .meta({ id: 'Detection' });

export const answerSchema = z
  .object({
    id: z.uuid().describe('Of the frame: GET /v1/results/{id}, and frame_id in the store.'),
    model: z.string(),
    version: z.string().nullable(),
    fallback_for: z.string().optional().describe('The version that should have answered, where its fallback did.'),
    predictions: z.array(labelSchema).optional().describe('Of a classifier, best first.'),
    detections: z.array(detectionSchema).optional().describe('Of a detector.'),
    image: z.object({ width: z.int().nullable(), height: z.int().nullable() }).describe('In pixels, upright.'),
    cached: z.boolean().describe('An identical picture had been answered before.'),
    timings_ms: z.record(z.string(), z.number()).describe('Milliseconds by phase.'),
  })
  .meta({ id: 'Answer' });

export type Answer = z.infer<typeof answerSchema>;

export const acceptedSchema = z
  .object({
    id: z.uuid(),
    model: z.string(),
    status: z.literal('accepted'),
    result: z.string().describe('Where the outcome will be; the same as the Location header.'),
  })
  .meta({ id: 'Accepted' });

export type Accepted = z.infer<typeof acceptedSchema>;
