/** A value of the topic `models`: whether and how a model is to be served from now on, by its name. No value: as the settings say. */
import { z } from 'zod';
import { type Model, readCardSchema } from './model-card.ts';

const fraction = z.number().min(0).max(1);

/**
 * loading: every process makes ready to answer, no door lets it be asked for yet; draining: no door lets it be asked for any
 * more, what was let in is answered; null, as in every record before there were states: served where the settings name it.
 */
export const modelStates = ['loading', 'served', 'draining', 'gone'] as const;
export type ModelState = (typeof modelStates)[number];

const toldSchema = z.strictObject({ card: readCardSchema, labels: z.array(z.string()) });

export const modelControlSchema = z.strictObject({
  state: z.enum(modelStates).nullable().default(null),
  /** When it came to be in that state, in milliseconds since the epoch; draining, 0: what lies in the log is let in no more either. */
  since: z.number().int().nonnegative().default(0),
  /** null: the version of the settings. */
  version: z.string().regex(/^\d+$/).nullable(),
  /** In place of the card's; a class that is not named keeps the card's. */
  score: fraction.nullable(),
  classes: z.record(z.string(), fraction),
  /**
   * What its folder says, as whoever loaded it read it: for processes that do not have the folder, and need it only to infer.
   * null where it is the settings' own, and in every record from before this was written; also where it cannot be read here, such as
   * the card of a later version, of which more may be known: all else that is written counts.
   */
  model: toldSchema.extend({ backbone: toldSchema.optional() }).nullable().default(null).catch(null),
});

export type ModelControl = z.infer<typeof modelControlSchema>;

export const asItIs: ModelControl = { state: null, since: 0, version: null, score: null, classes: {}, model: null };

/** The largest value there may be: every process holds all of them, and reads them at each start. A card with 1,000 classes takes some 25 KB. */
export const controlBytes = 512 * 1024;

/** As it is written. A process from before there was `model` takes a record that has it for nonsense. */
export const encodeControl = (control: ModelControl): Buffer => Buffer.from(JSON.stringify(control.model === null ? { ...control, model: undefined } : control));

/** A model as a control tells of it. */
export const toldOf = ({ card, labels, backbone }: Model): NonNullable<ModelControl['model']> => ({ card, labels: [...labels], ...(backbone ? { backbone: { card: backbone.card, labels: [...backbone.labels] } } : {}) });

/** The version asked for of this model, without a file; null where the control does not tell of it. */
export function asTold(name: string, { version, model }: ModelControl): Model | null {
  if (!model || model.card.name !== name || model.card.version !== version) return null;
  const { backbone, ...own } = model;
  return { ...own, path: '', ...(backbone ? { backbone: { ...backbone, path: '' } } : {}) };
}

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
