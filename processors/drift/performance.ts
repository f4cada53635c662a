/**
 * How often the answers of a window are right, estimated without their labels from their calibrated confidence (CBPE, as NannyML
 * has it): of answers that are right with probability p, a share p is right. It holds while confidence goes on to mean what it
 * meant: where the world has changed so that the model errs and is sure of it, no such estimate sees that.
 */
import type { Performance } from '../../schemas/records.ts';
import { type Calibration, type Step, stepsOf } from './calibration.ts';
import type { Sketch } from './sketch.ts';

/** Of fewer answers nothing is said. */
const leastAnswers = 30;
/** 95 % of a normal distribution lie within. */
const width = 1.96;

/** Share of right answers, from counts by bin of confidence. NaN without any. Equal to the mean of the calibrated confidence. */
export function accuracyOf(counts: readonly number[], steps: readonly Step[]): number {
  let [n, right] = [0, 0];
  counts.forEach((count, bin) => {
    n += count;
    right += count * steps[bin]!.probability;
  });
  return right / n;
}

/**
 * The estimate for a window of these blocks, and where the true share lies in 95 of 100 windows. Two things are not known: which of
 * the answers are right, which is as uncertain as of that many answers by chance, or of fewer where answers of a block
 * resemble each other; and the calibration itself, as uncertain as the answers it was made of. Null where the window has too
 * few answers. `normal`: what is usual.
 */
export function estimatePerformance(blocks: readonly Sketch[], normal: Sketch, calibration: Calibration): Performance | null {
  const steps = stepsOf(calibration);
  const parts = blocks.map(({ numeric }) => numeric.confidence?.counts).filter((counts) => counts !== undefined);
  const counts = steps.map((_, bin) => parts.reduce((sum, part) => sum + part[bin]!, 0));
  const n = counts.reduce((sum, count) => sum + count, 0);
  if (n < leastAnswers || !normal.numeric.confidence) return null;
  const accuracy = accuracyOf(counts, steps);
  const chance = mean(counts, (bin) => steps[bin]!.probability * (1 - steps[bin]!.probability));
  const margin = width * Math.sqrt((chance / n) * alikeness(parts, counts, steps) + calibrationVariance(counts, steps));
  return { accuracy, low: Math.max(0, accuracy - margin), high: Math.min(1, accuracy + margin), normal: accuracyOf(normal.numeric.confidence.counts, steps), judged: calibration.counts.reduce((sum, count) => sum + count, 0) };
}

function mean(counts: readonly number[], of: (bin: number) => number): number {
  let [n, sum] = [0, 0];
  counts.forEach((count, bin) => {
    n += count;
    if (count > 0) sum += count * of(bin);
  });
  return sum / n;
}

/**
 * How many answers are worth one that is by itself, 1 and up, from how much more the means of the blocks differ than those of
 * answers drawn one by one would. Source: Kish, Survey Sampling, 1965 (design effect).
 */
function alikeness(parts: readonly (readonly number[])[], counts: readonly number[], steps: readonly Step[]): number {
  const all = accuracyOf(counts, steps);
  const n = counts.reduce((sum, count) => sum + count, 0);
  const single = mean(counts, (bin) => (steps[bin]!.probability - all) ** 2) / n;
  const own = parts.map((part) => ({ n: part.reduce((sum, count) => sum + count, 0), part })).filter((block) => block.n > 0);
  if (own.length < 2 || single === 0) return 1;
  const byBlocks = own.reduce((sum, block) => sum + ((block.n / n) * (accuracyOf(block.part, steps) - all)) ** 2, 0) * (own.length / (own.length - 1));
  return Math.max(1, byBlocks / single);
}

function calibrationVariance(counts: readonly number[], steps: readonly Step[]): number {
  const n = counts.reduce((sum, count) => sum + count, 0);
  let variance = 0;
  for (const step of new Set(steps)) {
    const share = steps.reduce((sum, each, bin) => sum + (each === step ? counts[bin]! : 0), 0) / n;
    // As if one more had been right and one more wrong: few answers that were all right are no certainty.
    const p = (step.probability * step.judged + 1) / (step.judged + 2);
    variance += (share ** 2 * p * (1 - p)) / (step.judged + 2);
  }
  return variance;
}
