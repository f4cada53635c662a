/** How far two sketches are apart, feature by feature. */
import { classMix, embeddingMean, embeddingShape, numericFeatures } from './features.ts';
import { type EmbeddingSums, type Sketch, valuesIn } from './sketch.ts';
import { jensenShannon, kolmogorovSmirnov, middleShift, psi, shareShift } from './statistics/divergence.ts';
import { meanShift, mmd } from './statistics/mean-shift.ts';

/** Of fewer values than this nothing is said. */
const leastValues = 30;

export interface Distance {
  /** Of the whole distributions, by the feature's statistic. */
  readonly value: number;
  /**
   * Of what they have in the middle: a small change of the mean that all frames share is lost among the bins, and shows here.
   * In standard deviations of the reference's frames; of classes, of the one whose share has changed most.
   */
  readonly shift: number;
}

/** The distance of each feature that both have enough of; the others are absent. */
export function compare(reference: Sketch, current: Sketch): Map<string, Distance> {
  const distances = new Map<string, Distance>();
  const note = (name: string, value: number, shift = value): void => void (Number.isNaN(value) || distances.set(name, { value, shift }));
  for (const { name, statistic } of numericFeatures) {
    const [was, is] = [reference.numeric[name], current.numeric[name]];
    if (!was || !is || valuesIn(is) < leastValues || valuesIn(was) < leastValues) continue;
    note(name, (statistic === 'ks' ? kolmogorovSmirnov : psi)(was.counts, is.counts), middleShift(was.counts, is.counts));
  }
  const { was, is } = classCounts(reference, current);
  if (total(is) >= leastValues && total(was) >= leastValues) note(classMix.name, jensenShannon(was, is), shareShift(was, is));
  if (reference.embedding && current.embedding && current.embedding.frames >= leastValues && reference.embedding.frames >= leastValues) {
    note(embeddingMean.name, meanShift(meansOf(reference.embedding), deviationsOf(reference.embedding), meansOf(current.embedding)));
    note(embeddingShape.name, mmd(over(reference.embedding.fourier, reference.embedding.frames), over(current.embedding.fourier, current.embedding.frames)));
  }
  return distances;
}

/** Classes rarer than this in the reference count together. */
const rare = 0.02;

/** By class that is not rare, the rare ones together at the end: a hundred of them come and go by chance, and would hide one that matters. */
function classCounts(reference: Sketch, current: Sketch): { readonly was: number[]; readonly is: number[] } {
  const all = total(Object.values(reference.classes));
  const labels = Object.keys(reference.classes).filter((label) => reference.classes[label]! >= rare * all);
  const counts = ({ classes }: Sketch): number[] => {
    const common = labels.map((label) => classes[label] ?? 0);
    return [...common, total(Object.values(classes)) - total(common)];
  };
  return { was: counts(reference), is: counts(current) };
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
const over = (sums: readonly number[], n: number): number[] => sums.map((sum) => sum / n);

/** By dimension of the projection. */
export const meansOf = ({ projected, frames }: EmbeddingSums): number[] => over(projected, frames);
export const deviationsOf = (sums: EmbeddingSums): number[] => {
  const means = meansOf(sums);
  return sums.squares.map((square, i) => Math.sqrt(Math.max(0, square / sums.frames - means[i]! ** 2)));
};
