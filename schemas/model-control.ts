/** A value of the topic `models`: how a model is to be served from now on, by its name. No value: as the settings say. */
import { z } from 'zod';
import type { Model } from './model-card.ts';

const fraction = z.number().min(0).max(1);

export const modelControlSchema = z.strictObject({
  /** null: the version of the settings. */
  version: z.string().regex(/^\d+$/).nullable(),
  /** In place of the card's; a class that is not named keeps the card's. */
  score: fraction.nullable(),
  classes: z.record(z.string(), fraction),
});

export type ModelControl = z.infer<typeof modelControlSchema>;

export const asItIs: ModelControl = { version: null, score: null, classes: {} };

/** The classes a control names that the model does not have. */
export function unknownClasses({ classes }: ModelControl, { card, labels }: Model): string[] {
  const known = new Set(card.task === 'faces' ? ['face'] : labels);
  return Object.keys(classes).filter((label) => !known.has(label));
}

/** The model with these thresholds instead of its card's. */
export function controlled(model: Model, { score, classes }: ModelControl): Model {
  const { thresholds } = model.card;
  const changed = { ...thresholds, score: score ?? thresholds.score, classes: { ...thresholds.classes, ...classes } };
  return { ...model, card: { ...model.card, thresholds: changed } };
}
