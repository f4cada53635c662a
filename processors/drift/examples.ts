/**
 * Frames to look at, kept while a window is open: those with the least and the most of each feature and along each direction of
 * the embedding, and one of each class. Which of them tell of a change is only known at the end of the window.
 */
import type { Prediction } from '../../schemas/records.ts';
import { classesOf, numericFeatures } from './features.ts';
import type { MappedEmbedding } from './statistics/embedding-map.ts';

interface Extreme {
  value: number;
  frame: string;
}

export interface Examples {
  /** By feature, or by `embedding/` and the dimension: the frames with the least and the most of it. */
  readonly extremes: Record<string, { least: Extreme; most: Extreme }>;
  /** The last frame with each class. */
  readonly classes: Record<string, string>;
}

export const noExamples = (): Examples => ({ extremes: {}, classes: {} });

/** Of as many classes frames are kept, at most: a window of a thousand classes is not shown by examples. */
const mostClasses = 100;

export const directionName = (dimension: number): string => `embedding/${dimension}`;

function note({ extremes }: Examples, name: string, value: number, frame: string): void {
  const known = extremes[name];
  if (!known) extremes[name] = { least: { value, frame }, most: { value, frame } };
  else if (value < known.least.value) known.least = { value, frame };
  else if (value > known.most.value) known.most = { value, frame };
}

export function addExample(examples: Examples, prediction: Prediction, embedding: MappedEmbedding | null): void {
  const frame = prediction.frame_id;
  for (const feature of numericFeatures) for (const value of feature.of(prediction)) if (Number.isFinite(value)) note(examples, feature.name, value, frame);
  embedding?.projected.forEach((value, dimension) => note(examples, directionName(dimension), value, frame));
  for (const label of classesOf(prediction)) {
    if (Object.hasOwn(examples.classes, label) || Object.keys(examples.classes).length < mostClasses) examples.classes[label] = frame;
  }
}

/** Of two windows that have become one. */
export function mergeExamples(into: Examples, from: Examples): void {
  for (const [name, { least, most }] of Object.entries(from.extremes)) {
    note(into, name, least.value, least.frame);
    note(into, name, most.value, most.frame);
  }
  Object.assign(into.classes, from.classes);
}
