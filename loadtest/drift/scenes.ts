/** The world of the bench: stretches of footage summed up, the reference made of one half of them, and what may happen to the other. */
import { addToBlock, type Block } from '../../processors/drift/blocks.ts';
import { joinBlocks, type Normal, normalOf } from '../../processors/drift/reference.ts';
import { joinSamples, type Samples } from '../../processors/drift/samples.ts';
import { emptySketch, merge, type Sketch } from '../../processors/drift/sketch.ts';
import { mapEmbedding } from '../../processors/drift/statistics/embedding-map.ts';
import { uniform } from '../../processors/drift/statistics/random.ts';
import type { Prediction } from '../../schemas/records.ts';
import { type Answers, type Asked, modelNames } from './answers.ts';
import { intruderShares, mixTilts, pictureShifts, type Strength, strengths } from './shifts.ts';
import { folds, isJudged, shiftedOf, stretch } from './stretches.ts';

/** Stretches of a block and blocks of a window: 500 frames in five minutes, the least there may be. */
const blockStretches = 2;
export const windowStretches = 20;
const windowMs = 300_000;
const blocksOfAnHour = 120;
export const windowsOfAnHour = 12;

type Model = (typeof modelNames)[number];

/** A stretch as both models saw it. */
export interface Stretch {
  readonly frames: Record<Model, readonly Prediction[]>;
  readonly sketches: Record<Model, Sketch>;
  /** Of models with an embedding. */
  readonly samples: Record<Model, Samples | undefined>;
}

export interface World {
  readonly normals: Record<Model, Normal>;
  readonly reference: readonly Stretch[];
  readonly judged: readonly Stretch[];
  /** The same stretches of the judged ones, unchanged and by change. */
  readonly lots: ReadonlyMap<string, readonly Stretch[]>;
}

export interface Scene {
  readonly kind: string;
  readonly strength: Strength | '';
  /** Stretches for one window. */
  draw(world: World, random: () => number): Stretch[];
}

const byModel = <T>(make: (model: Model) => T): Record<Model, T> => Object.fromEntries(modelNames.map((model) => [model, make(model)])) as Record<Model, T>;

function blockOf(predictions: readonly Prediction[]): Block {
  const block: Block = { start: 0, ...emptySketch() };
  for (const p of predictions) addToBlock(block, p, p.embedding && mapEmbedding(new Float32Array(p.embedding.buffer.slice(p.embedding.byteOffset, p.embedding.byteOffset + p.embedding.length))));
  return block;
}

function stretchesOf(answers: Answers): Stretch[] {
  return Array.from({ length: Math.floor(answers.nanodet.length / stretch) }, (_, s) => {
    const frames = byModel((model) => answers[model].slice(s * stretch, (s + 1) * stretch));
    const sketches = byModel((model) => blockOf(frames[model]));
    return { frames, sketches, samples: byModel((model) => sketches[model].samples) };
  });
}

/** A world for each half of the footage as what is judged, the other being the reference. */
export function prepare(asked: ReadonlyMap<string, Asked>, days: number): World[] {
  const all = stretchesOf(asked.get('usual')!.answers);
  const shifted = shiftedOf(all.length);
  const changed = new Map([...asked].filter(([name]) => name !== 'usual').map(([name, { answers }]) => [name, stretchesOf(answers)]));
  return folds.map((fold): World => {
    const reference = all.filter((_, i) => !isJudged(i, fold));
    const lots = new Map([...changed].map(([name, of]) => [name, of.filter((_, i) => isJudged(shifted[i]!, fold))]));
    lots.set('unchanged', shifted.filter((i) => isJudged(i, fold)).map((i) => all[i]!));
    return { reference, judged: all.filter((_, i) => isJudged(i, fold)), lots, normals: normalsOf(reference, days) };
  });
}

/** Stretches as blocks of a window, with the frames that a classifier learns from. */
export function blocksOf(part: readonly Stretch[], model: Model): Block[] {
  return Array.from({ length: Math.ceil(part.length / blockStretches) }, (_, i) => {
    const own = part.slice(i * blockStretches, (i + 1) * blockStretches);
    const samples = joinSamples(own.map((each) => each.samples[model]));
    return { start: (i * windowMs * blockStretches) / windowStretches, ...summed(own, model), ...(samples && { samples }) };
  });
}

/**
 * The world for an hour. No hour is like another: each has a mixture of its own, as many stretches as there are, drawn from them with
 * repeats (Efron's bootstrap). How much hours differ is then what so little footage leaves unknown of any hour, and so is how
 * much the halves of it differ, of which one is the reference.
 */
export function anHour(world: World, random: () => number): World {
  const shifted = world.lots.get('unchanged')!.map((_, __, { length }) => Math.floor(random() * length));
  return {
    ...world,
    judged: world.judged.map(() => pick(world.judged, random)),
    lots: new Map([...world.lots].map(([name, of]) => [name, shifted.map((i) => of[i]!)])),
  };
}

/** As so many days of the camera would teach it: their hours, and in them stretches drawn at random. */
function normalsOf(reference: readonly Stretch[], days: number): Record<Model, Normal> {
  const random = uniform(5);
  const drawn = Array.from({ length: 24 * days }, () => {
    const own = reference.map(() => pick(reference, random));
    return Array.from({ length: blocksOfAnHour * blockStretches }, () => pick(own, random));
  }).flat();
  return byModel((model) => {
    const blocks = joinBlocks(blocksOf(drawn, model));
    return normalOf(() => blocks);
  });
}

export function summed(part: readonly Stretch[], model: Model): Sketch {
  const all = emptySketch();
  for (const { sketches } of part) merge(all, sketches[model]);
  return all;
}

export const pick = <T>(from: readonly T[], random: () => number): T => from[Math.floor(random() * from.length)]!;
const window = (draw: () => Stretch): Stretch[] => Array.from({ length: windowStretches }, draw);

/** How often a stretch has what is most often seen in all of them. */
export function countsOfCommonest(stretches: readonly Stretch[]): number[] {
  const seen = stretches.map(({ sketches }) => ({ ...sketches['efficientnet-lite0'].classes, ...sketches.nanodet.classes }) as Record<string, number>);
  const all: Record<string, number> = {};
  for (const classes of seen) for (const [label, n] of Object.entries(classes)) all[label] = (all[label] ?? 0) + n;
  const [commonest] = Object.entries(all).toSorted(([, a], [, b]) => b - a)[0] ?? [''];
  return seen.map((classes) => classes[commonest] ?? 0);
}

/** Of numbers that are there so many times each: how far each lies from their mean, in their standard deviations. */
export function deviations(counts: readonly number[], times: readonly number[]): number[] {
  let [all, mean, variance] = [0, 0, 0];
  for (const n of times) all += n;
  for (let i = 0; i < counts.length; i++) mean += (times[i]! * counts[i]!) / all;
  for (let i = 0; i < counts.length; i++) variance += (times[i]! * (counts[i]! - mean) ** 2) / all;
  return counts.map((n) => (variance === 0 ? 0 : (n - mean) / Math.sqrt(variance)));
}

function tilted(stretches: readonly Stretch[], tilt: number, random: () => number): Stretch[] {
  const weights = deviations(countsOfCommonest(stretches), stretches.map(() => 1)).map((z) => Math.exp(tilt * z));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return window(() => {
    let left = random() * total;
    return stretches[weights.findIndex((weight) => (left -= weight) <= 0)] ?? stretches.at(-1)!;
  });
}

export const unchanged: Scene = { kind: 'unchanged', strength: '', draw: ({ judged }, random) => window(() => pick(judged, random)) };

export const scenes: readonly Scene[] = [
  // The stretches that are changed below, as they are: what is seen here is not the change.
  { kind: 'the same, unchanged', strength: '', draw: ({ lots }, random) => window(() => pick(lots.get('unchanged')!, random)) },
  ...pictureShifts.map(({ kind, strength }): Scene => ({ kind, strength, draw: ({ lots }, random) => window(() => pick(lots.get(`${kind}, ${strength}`)!, random)) })),
  ...strengths.map((strength): Scene => ({ kind: 'class mix', strength, draw: ({ judged }, random) => tilted(judged, mixTilts[strength], random) })),
  ...strengths.map((strength): Scene => ({
    kind: 'new class',
    strength,
    draw: ({ lots }, random) => window(() => pick(lots.get(random() < intruderShares[strength] ? 'new class, strong' : 'unchanged')!, random)),
  })),
];
