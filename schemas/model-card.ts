/** The model card, models/NAME/VERSION/card.json: what a stage must know of a model without opening its graph. */
import { createHash } from 'node:crypto';
import { z } from 'zod';

const fraction = z.number().min(0).max(1);
const version = z.string().regex(/^\d+$/);

const common = {
  /** Names a topic and an output of preprocess, so it may not be one of its other outputs. */
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]*$/)
    .refine((name) => !['predictions', 'replies'].includes(name), { error: 'predictions and replies are names of topics' }),
  /** The folder's: what a person asks for. */
  version,
  /** What a change means to those who read the answers: a new major has other classes, a new minor another accuracy. */
  semantic_version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'a semantic version such as 1.2.0 is expected'),
  description: z.string(),
  precision: z.enum(['fp32', 'fp16', 'int8']),
  outputs: z.record(z.string(), z.strictObject({ shape: z.string(), meaning: z.string() })),
  /** File with one label a line, relative to the card. */
  labels: z.string().optional(),
  thresholds: z.strictObject({
    score: fraction.default(0.35),
    /** By label, instead of `score`. */
    classes: z.record(z.string(), fraction).default({}),
    iou: fraction.default(0.5),
    top: z.int().positive().default(5),
  }),
  /** False: it is for those who ask for this version; the name alone means the highest of the others. */
  default: z.boolean().default(true),
  /** Version that answers instead when this one cannot be loaded or ends its worker. */
  fallback: version.optional(),
  /** A picture (beside the card, else in media/) and what must be among the answers to it, or the model is not served. */
  golden: z
    .strictObject({
      image: z.string(),
      expect: z
        .array(z.strictObject({ label: z.string(), score: fraction, box: z.tuple([z.number(), z.number(), z.number(), z.number()]).optional() }))
        .min(1),
    })
    .optional(),
  licence: z.string(),
  source: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
};

const level = z.number().int().min(0).max(255);

const inputSchema = z.strictObject({
  name: z.string(),
  height: z.int().positive(),
  width: z.int().positive(),
  /**
   * stretch: the whole picture to the tensor's size; crop: the centre square's `fraction` of the picture's shorter side; letterbox:
   * the whole picture in its own proportions, in the middle or at the top left (`align`), and around it `pad`: one level, or red, green and blue.
   */
  fit: z.discriminatedUnion('mode', [
    z.strictObject({ mode: z.literal('stretch') }),
    z.strictObject({ mode: z.literal('crop'), fraction }),
    z.strictObject({ mode: z.literal('letterbox'), pad: z.union([level, z.tuple([level, level, level])]).default(114), align: z.enum(['centre', 'start']).default('centre') }),
  ]),
});

/** A model of pictures. `image`: uint8 RGB [N, height, width, 3]. */
export const modelCardSchema = z.strictObject({ ...common, task: z.enum(['classification', 'detection', 'faces']), input: inputSchema });

/** A small graph on another model's embedding: float32 [N, size] in, `probabilities` out. Its pictures are the backbone's. */
export const headCardSchema = z.strictObject({
  ...common,
  task: z.literal('head'),
  head: z.strictObject({
    /** NAME@VERSION: an embedding of another version means something else. */
    backbone: z.string().regex(/^[a-z0-9][a-z0-9-]*@\d+$/, 'NAME@VERSION is expected'),
    /** Which of the backbone's outputs. */
    embedding: z.string(),
    /** The graph's input. */
    input: z.string(),
  }),
});

/** What was made of a card: of a model of pictures, or of a head, whose input is its backbone's. */
export const readCardSchema = modelCardSchema.extend({ head: headCardSchema.shape.head.optional() });

export type HeadCard = z.infer<typeof headCardSchema>;
export type ModelInput = z.infer<typeof inputSchema>;
export type Thresholds = ModelCard['thresholds'];

/** Of a head the input is its backbone's. */
export type ModelCard = z.infer<typeof modelCardSchema> & { readonly head?: HeadCard['head'] | undefined };

/** A card with what was found beside it. */
export interface Model {
  readonly card: ModelCard;
  /** Absolute path of model.onnx. */
  readonly path: string;
  readonly labels: readonly string[];
  /** What a head stands on. */
  readonly backbone?: Model;
}

/** NAME@VERSION: what tells two loaded graphs apart. */
export const keyOf = ({ card }: Model): string => `${card.name}@${card.version}`;

const scoresOf = new WeakMap<Model, ReadonlyMap<number, number>>();

/** The score a class must reach, by class, where that is not the model's. Faces have one class without a file of labels. */
export function classScores(model: Model): ReadonlyMap<number, number> {
  // Asked for each picture.
  let scores = scoresOf.get(model);
  if (!scores) scoresOf.set(model, (scores = scoresByClass(model)));
  return scores;
}

function scoresByClass({ card, labels }: Model): ReadonlyMap<number, number> {
  const names = card.task === 'faces' ? ['face'] : labels;
  return new Map(names.flatMap((label, id) => (Object.hasOwn(card.thresholds.classes, label) ? [[id, card.thresholds.classes[label]!]] : [])));
}

/**
 * Names everything that decides what a picture is answered with: graph, labels, thresholds, preprocessing, and the backbone's
 * of a head. Two models of one digest answer alike.
 */
export function answerDigest(model: Model): string {
  const { name, version: own, task, input, outputs, thresholds, sha256, head } = model.card;
  const parts = [name, own, task, input, outputs, thresholds, sha256, head ?? null, model.labels, model.backbone ? answerDigest(model.backbone) : null];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
