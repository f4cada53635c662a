/**
 * What a model's confidence is worth, learnt from frames whose labels are known: how often an answer of so much confidence
 * is right. Isotonic: surer answers are right more often, and nothing else is taken for granted.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import { confidenceBins } from './features.ts';
import { isotonic } from './statistics/isotonic.ts';

/** Plain data; kept in the reference. */
export interface Calibration {
  /** Milliseconds since the epoch. */
  readonly madeAt: number;
  /** Answers whose truth was known: by bin of confidence, and those that were right. */
  readonly counts: readonly number[];
  readonly right: readonly number[];
}

export interface Judged {
  readonly score: number;
  readonly right: boolean;
}

/** Of fewer answers the step function would be their chance. */
export const leastJudged = 100;

/** Throws bad_request where too few answers are judged. */
export function calibrate(answers: readonly Judged[], madeAt: number): Calibration {
  if (answers.length < leastJudged) throw new SaccadeError('bad_request', `${answers.length} answers with a label say too little of what confidence is worth; ${leastJudged} are needed, a thousand are good.`);
  const counts = Array.from({ length: confidenceBins.count }, () => 0);
  const right = [...counts];
  for (const answer of answers) {
    const bin = confidenceBins.of(answer.score);
    counts[bin]! += 1;
    if (answer.right) right[bin]! += 1;
  }
  return { madeAt, counts, right };
}

/** A step of the calibration: bins whose answers are right equally often, and of how many answers that is known. */
export interface Step {
  readonly probability: number;
  readonly judged: number;
}

/** By bin of confidence; bins of the same step share one object. */
export function stepsOf({ counts, right }: Calibration): Step[] {
  const probabilities = isotonic(counts.map((n, i) => (n === 0 ? 0 : right[i]! / n)), counts);
  const steps: Step[] = [];
  for (let from = 0; from < probabilities.length; ) {
    let to = from;
    while (to < probabilities.length && probabilities[to] === probabilities[from]) to++;
    const step = { probability: probabilities[from]!, judged: counts.slice(from, to).reduce((sum, n) => sum + n, 0) };
    for (; from < to; from++) steps.push(step);
  }
  return steps;
}
