/** How far two sketches are apart, feature by feature. */
import { classMix, embeddingMean, embeddingShape, newClass, numericFeatures } from './features.ts';
import { type EmbeddingSums, otherClasses, type Sketch, valuesIn } from './sketch.ts';
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
  if (total(was) >= leastValues && current.frames >= leastValues) note(newClass.name, newcomersOf(reference, current)[0]?.rate ?? 0);
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

/** How many of a class there are for each frame of the reference, at most, of which it is said that it was never seen: once by mistake is no sight of it. */
const never = 0.001;

export interface Newcomer {
  readonly label: string;
  /** How many of it there are for each frame, and were in the reference: a frame may have several. */
  readonly rate: number;
  readonly was: number;
}

/** Classes that the reference has never, the most frequent first. For each frame, not among all that is seen, since a new thing is no less new where there is much else. */
export function newcomersOf(reference: Sketch, current: Sketch): Newcomer[] {
  return Object.entries(current.classes)
    .map(([label, count]) => ({ label, rate: count / current.frames, was: (Object.hasOwn(reference.classes, label) ? reference.classes[label]! : 0) / reference.frames }))
    .filter(({ label, rate, was }) => rate > 0 && was <= never && label !== otherClasses)
    .sort((a, b) => b.rate - a.rate);
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
const over = (sums: readonly number[], n: number): number[] => sums.map((sum) => sum / n);

/** By dimension of the projection. */
export const meansOf = ({ projected, frames }: EmbeddingSums): number[] => over(projected, frames);
export const deviationsOf = (sums: EmbeddingSums): number[] => {
  const means = meansOf(sums);
  return sums.squares.map((square, i) => Math.sqrt(Math.max(0, square / sums.frames - means[i]! ** 2)));
};
