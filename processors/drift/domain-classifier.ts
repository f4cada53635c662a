/**
 * Whether frames of now can be told from those of the reference at all: a classifier is taught to, on some of the blocks, and
 * asked about the others. Sources: Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, 2017; the split by blocks, since a
 * classifier that has seen a frame's neighbour knows the frame.
 */
import { setImmediate as otherWork } from 'node:timers/promises';
import type { Block } from './blocks.ts';
import { auc } from './statistics/auc.ts';
import { fitLogistic, logOdds } from './statistics/logistic.ts';
import { fitTail, type Tail } from './statistics/tail.ts';

type Rows = readonly (readonly number[])[];

const folds = 3;
const penalty = 10;
/** Blocks of the reference that are learnt from, spread over all of it, and runs of it that stand in for windows: what these cost is time. */
const referenceBlocks = 60;
const runs = 40;
/** Of fewer sampled frames in a window nothing is said. */
const leastRows = 20;

const rowsOf = ({ samples }: Block): Rows => samples?.rows ?? [];

/**
 * Area under the ROC curve of a classifier that tells the blocks of `now` from those of `reference`, by cross-validation on
 * blocks; near 0.5 when nothing tells them apart. NaN where there are too few frames to learn from.
 */
export function domainAuc(reference: readonly Rows[], now: readonly Rows[]): number {
  if (Math.min(rowCount(reference), rowCount(now)) < leastRows || now.length < folds || reference.length < folds) return Number.NaN;
  // Neighbouring blocks into the same fold.
  const foldOf = (i: number, of: readonly Rows[]): number => Math.floor((i * folds) / of.length);
  const all = [...reference.flatMap((rows, i) => rows.map((row) => ({ row, fold: foldOf(i, reference), label: false }))), ...now.flatMap((rows, i) => rows.map((row) => ({ row, fold: foldOf(i, now), label: true })))];
  const scores = new Float64Array(all.length);
  for (let fold = 0; fold < folds; fold++) {
    const learnt = all.filter((each) => each.fold !== fold);
    const scale = scaling(learnt.map(({ row }) => row));
    const model = fitLogistic(learnt.map(({ row }) => scale(row)), learnt.map(({ label }) => label), penalty);
    all.forEach(({ row, fold: own }, i) => {
      if (own === fold) scores[i] = logOdds(model, scale(row));
    });
  }
  return auc(scores, all.map(({ label }) => label));
}

const rowCount = (of: readonly Rows[]): number => of.reduce((sum, rows) => sum + rows.length, 0);

/** To mean 0 and deviation 1, by column; a column that never varies becomes 0. */
function scaling(rows: Rows): (row: readonly number[]) => Float64Array {
  const size = rows[0]!.length;
  const means = new Float64Array(size);
  const deviations = new Float64Array(size);
  for (const row of rows) for (let i = 0; i < size; i++) means[i]! += row[i]! / rows.length;
  for (const row of rows) for (let i = 0; i < size; i++) deviations[i]! += (row[i]! - means[i]!) ** 2 / rows.length;
  return (row) => Float64Array.from(row, (value, i) => (deviations[i]! > 0 ? (value - means[i]!) / Math.sqrt(deviations[i]!) : 0));
}

/** `most` of them, evenly spread. */
const spread = <T>(from: readonly T[], most: number): T[] => (from.length <= most ? [...from] : Array.from({ length: most }, (_, i) => from[Math.floor((i * from.length) / most)]!));

export interface DomainClassifier {
  auc(now: readonly Block[]): number;
  /** How unusual an area is for a run of so many blocks of the reference against the rest of it, or of as many as hold enough frames. Takes some tenths of a second the first time, and gives the thread up meanwhile. */
  tail(length: number): Promise<Tail>;
}

/** Null where the reference was made before frames were sampled, or its model has no embeddings. `load`: as normalOf has it. */
export function domainClassifier(load: () => readonly Block[]): DomainClassifier | null {
  const all = load().map(rowsOf);
  if (all.filter((rows) => rows.length > 0).length < 2 * folds) return null;
  const reference = spread(all, referenceBlocks);
  // Blocks that were joined hold no more frames than others do.
  const least = Math.max(folds, Math.ceil((leastRows * all.length) / rowCount(all)));
  const most = Math.floor(all.length / 4);
  const tails = new Map<number, Tail>();
  return {
    auc: (now) => domainAuc(reference, now.map(rowsOf)),
    async tail(length) {
      const own = Math.min(Math.max(least, length), most);
      let tail = tails.get(own);
      if (!tail) {
        const blocks = load().map(rowsOf);
        const starts = spread(blocks.map((_, i) => i), runs);
        const areas: number[] = [];
        for (const start of starts) {
          const inRun = (i: number): boolean => (i - start + blocks.length) % blocks.length < own;
          areas.push(domainAuc(spread(blocks.filter((_, i) => !inRun(i)), referenceBlocks), blocks.filter((_, i) => inRun(i))));
          await otherWork();
        }
        tails.set(own, (tail = fitTail(areas.filter((area) => !Number.isNaN(area)))));
      }
      return tail;
    },
  };
}
