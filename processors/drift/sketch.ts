/**
 * A stretch of a stream, summed up: counts in fixed bins, sums of embeddings. Sketches of neighbouring stretches can be added up,
 * which is how minutes become windows, windows hours, and hours a reference.
 */
import type { Prediction } from '../../schemas/records.ts';
import { classesOf, numericFeatures } from './features.ts';
import { fourierSize, type MappedEmbedding, projectedSize } from './statistics/embedding-map.ts';

export interface Histogram {
  /** By bin of the feature. */
  readonly counts: number[];
  /** Of the values themselves, for their mean. */
  sum: number;
}

export interface EmbeddingSums {
  frames: number;
  /** By dimension of the projection: of the values, and of their squares. */
  readonly projected: number[];
  readonly squares: number[];
  readonly fourier: number[];
}

export interface Sketch {
  frames: number;
  /** By feature; absent where no frame said anything of it. */
  readonly numeric: Record<string, Histogram>;
  /** How often each class was the answer. */
  readonly classes: Record<string, number>;
  embedding: EmbeddingSums | null;
}

export const emptySketch = (): Sketch => ({ frames: 0, numeric: {}, classes: {}, embedding: null });

const zeros = (length: number): number[] => Array.from({ length }, () => 0);

function emptyEmbedding(): EmbeddingSums {
  return { frames: 0, projected: zeros(projectedSize), squares: zeros(projectedSize), fourier: zeros(fourierSize) };
}

/** Classes of one sketch; further ones are counted together. An open vocabulary must not make a window grow without end. */
const mostClasses = 1_200;
export const otherClasses = '(others)';

function countClass(sketch: Sketch, label: string, count: number): void {
  // A label may be called 'constructor'.
  const of = (name: string): number | undefined => (Object.hasOwn(sketch.classes, name) ? sketch.classes[name] : undefined);
  const name = of(label) !== undefined || Object.keys(sketch.classes).length < mostClasses ? label : otherClasses;
  sketch.classes[name] = (of(name) ?? 0) + count;
}

/** Adds a frame. `embedding`: as mapped, or null where the model gives none. */
export function addFrame(sketch: Sketch, prediction: Prediction, embedding: MappedEmbedding | null): void {
  sketch.frames += 1;
  for (const feature of numericFeatures) {
    const values = feature.of(prediction);
    if (values.length === 0) continue;
    const histogram = (sketch.numeric[feature.name] ??= { counts: zeros(feature.bins.count), sum: 0 });
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      histogram.counts[feature.bins.of(value)]! += 1;
      histogram.sum += value;
    }
  }
  for (const label of classesOf(prediction)) countClass(sketch, label, 1);
  if (!embedding) return;
  const sums = (sketch.embedding ??= emptyEmbedding());
  sums.frames += 1;
  for (let i = 0; i < projectedSize; i++) {
    const value = embedding.projected[i]!;
    sums.projected[i]! += value;
    sums.squares[i]! += value * value;
  }
  for (let i = 0; i < fourierSize; i++) sums.fourier[i]! += embedding.fourier[i]!;
}

const addTo = (into: number[], from: readonly number[], sign: 1 | -1): void => {
  for (let i = 0; i < into.length; i++) into[i]! += sign * (from[i] ?? 0);
};

/** Adds `from` to `into`, or with −1 takes it away again. */
export function merge(into: Sketch, from: Sketch, sign: 1 | -1 = 1): void {
  into.frames += sign * from.frames;
  for (const feature of numericFeatures) {
    const other = from.numeric[feature.name];
    if (!other) continue;
    const own = (into.numeric[feature.name] ??= { counts: zeros(feature.bins.count), sum: 0 });
    addTo(own.counts, other.counts, sign);
    own.sum += sign * other.sum;
  }
  for (const [label, count] of Object.entries(from.classes)) countClass(into, label, sign * count);
  if (!from.embedding) return;
  const own = (into.embedding ??= emptyEmbedding());
  own.frames += sign * from.embedding.frames;
  for (const part of ['projected', 'squares', 'fourier'] as const) addTo(own[part], from.embedding[part], sign);
}

export function merged(sketches: Iterable<Sketch>): Sketch {
  const all = emptySketch();
  for (const sketch of sketches) merge(all, sketch);
  return all;
}

/** Six digits of each sum: what a block says for ever after is then short, and the same whoever wrote it down in between. */
export function settle(sketch: Sketch): void {
  const short = (numbers: number[]): void => numbers.forEach((value, i) => void (numbers[i] = Number(value.toPrecision(6))));
  for (const histogram of Object.values(sketch.numeric)) histogram.sum = Number(histogram.sum.toPrecision(9));
  if (sketch.embedding) for (const part of ['projected', 'squares', 'fourier'] as const) short(sketch.embedding[part]);
}

export const valuesIn = ({ counts }: Histogram): number => counts.reduce((sum, count) => sum + count, 0);
