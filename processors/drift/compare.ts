/** How far two sketches are apart, feature by feature. */
import { classMix, embeddingMean, embeddingShape, numericFeatures } from './features.ts';
import { type EmbeddingSums, type Sketch, valuesIn } from './sketch.ts';
import { jensenShannon, kolmogorovSmirnov, psi } from './statistics/divergence.ts';
import { meanShift, mmd } from './statistics/mean-shift.ts';

/** Of fewer values than this nothing is said. */
const leastValues = 30;

/** A value for each feature that both have enough of; the others are absent. */
export function compare(reference: Sketch, current: Sketch): Map<string, number> {
  const distances = new Map<string, number>();
  const note = (name: string, value: number): void => void (Number.isNaN(value) || distances.set(name, value));
  for (const { name, statistic } of numericFeatures) {
    const [was, is] = [reference.numeric[name], current.numeric[name]];
    if (!was || !is || valuesIn(is) < leastValues || valuesIn(was) < leastValues) continue;
    note(name, (statistic === 'ks' ? kolmogorovSmirnov : psi)(was.counts, is.counts));
  }
  const labels = [...new Set([...Object.keys(reference.classes), ...Object.keys(current.classes)])];
  const [was, is] = [reference, current].map(({ classes }) => labels.map((label) => classes[label] ?? 0)) as [number[], number[]];
  if (total(is) >= leastValues && total(was) >= leastValues) note(classMix.name, jensenShannon(was, is));
  if (reference.embedding && current.embedding && current.embedding.frames >= leastValues && reference.embedding.frames >= leastValues) {
    note(embeddingMean.name, meanShift(meansOf(reference.embedding), deviationsOf(reference.embedding), meansOf(current.embedding)));
    note(embeddingShape.name, mmd(over(reference.embedding.fourier, reference.embedding.frames), over(current.embedding.fourier, current.embedding.frames)));
  }
  return distances;
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
const over = (sums: readonly number[], n: number): number[] => sums.map((sum) => sum / n);

/** By dimension of the projection. */
export const meansOf = ({ projected, frames }: EmbeddingSums): number[] => over(projected, frames);
export const deviationsOf = (sums: EmbeddingSums): number[] => {
  const means = meansOf(sums);
  return sums.squares.map((square, i) => Math.sqrt(Math.max(0, square / sums.frames - means[i]! ** 2)));
};
