/** The model card, models/NAME/VERSION/card.json: what a stage must know of a model without opening its graph. */
import { z } from 'zod';

const fraction = z.number().min(0).max(1);

export const modelCardSchema = z.strictObject({
  /** Names a topic and an output of preprocess, so it may not be one of its other outputs. */
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]*$/)
    .refine((name) => !['predictions', 'replies'].includes(name), { error: 'predictions and replies are names of topics' }),
  version: z.string().regex(/^\d+$/),
  description: z.string(),
  task: z.enum(['classification', 'detection', 'faces']),
  precision: z.enum(['fp32', 'fp16', 'int8']),
  /** `image`: uint8 RGB [N, height, width, 3]. */
  input: z.strictObject({
    name: z.string(),
    height: z.int().positive(),
    width: z.int().positive(),
    /** stretch: the whole picture to the tensor's size; crop: the centre square's `fraction` of the picture's shorter side. */
    fit: z.discriminatedUnion('mode', [
      z.strictObject({ mode: z.literal('stretch') }),
      z.strictObject({ mode: z.literal('crop'), fraction }),
    ]),
  }),
  outputs: z.record(z.string(), z.strictObject({ shape: z.string(), meaning: z.string() })),
  /** File with one label a line, relative to the card. */
  labels: z.string().optional(),
  thresholds: z.strictObject({
    score: fraction.default(0.35),
    iou: fraction.default(0.5),
    top: z.int().positive().default(5),
  }),
  licence: z.string(),
  source: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export type ModelCard = z.infer<typeof modelCardSchema>;

/** A card with what was found beside it. */
export interface Model {
  readonly card: ModelCard;
  /** Absolute path of model.onnx. */
  readonly path: string;
  readonly labels: readonly string[];
}
