/** What answers. */
import { z } from 'zod';

const fraction = z.number().min(0).max(1);

export const modelVersionSchema = z
  .object({
    version: z.string(),
    current: z.boolean().describe('It answers at present.'),
    semantic_version: z.string().optional(),
    precision: z.string().optional(),
    description: z.string().optional(),
    licence: z.string().optional(),
    source: z.string().optional(),
    sha256: z.string().optional(),
    trouble: z.string().optional().describe('Why it cannot be served.'),
  })
  .meta({ id: 'ModelVersion' });

export const modelSchema = z
  .object({
    name: z.string(),
    current: z.string().describe('The version that answers at present.'),
    task: z.string(),
    description: z.string(),
    input: z.object({ height: z.int(), width: z.int() }).describe('What a picture is cut to, in pixels.'),
    labels: z.int().min(0).describe('How many classes it tells apart.'),
    thresholds: z.object({ score: fraction, classes: z.record(z.string(), fraction), iou: fraction, top: z.int() }).describe('As they hold at present.'),
    versions: z.array(modelVersionSchema),
  })
  .meta({ id: 'Model' });

export const modelsSchema = z.object({ models: z.array(modelSchema).describe('The first answers where none is asked for.') }).meta({ id: 'Models' });

export type ServedModel = z.infer<typeof modelSchema>;
export type Models = z.infer<typeof modelsSchema>;
