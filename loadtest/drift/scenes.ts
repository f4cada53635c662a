/** The world of the bench: stretches of footage summed up, the reference made of one half of them, and what may happen to the other. */
import type { Block } from '../../processors/drift/blocks.ts';
import { joinBlocks, type Normal, normalOf } from '../../processors/drift/reference.ts';
import { addFrame, emptySketch, merge, type Sketch } from '../../processors/drift/sketch.ts';
import { mapEmbedding } from '../../processors/drift/statistics/embedding-map.ts';
import { uniform } from '../../processors/drift/statistics/random.ts';
import type { Prediction } from '../../schemas/records.ts';
import { type Answers, type Asked, modelNames } from './answers.ts';
import { intruderShares, mixTilts, pictureShifts, type Strength, strengths } from './shifts.ts';

/** Frames of a stretch, which is drawn as a whole. */
export const stretch = 25;
/** Stretches of a block and blocks of a window: 500 frames in five minutes, the least there may be. */
const blockStretches = 2;
export const windowStretches = 20;
const windowMs = 300_000;
/** A reference of a day. */
const referenceBlocks = 1_440;
/** Stretches that are put through each change; more would take hours of inference. */
const shiftedStretches = 6;

/** Every other stretch is judged; those between are the reference's. */
export const isJudged = (frame: number): boolean => Math.floor(frame / stretch) % 2 === 1;

type Model = (typeof modelNames)[number];

/** A stretch as both models saw it. */
export interface Stretch {
  readonly frames: Record<Model, readonly Prediction[]>;
  readonly sketches: Record<Model, Sketch>;
}

export interface World {
  readonly normals: Record<Model, Normal>;
  readonly reference: readonly Stretch[];
  readonly judged: readonly Stretch[];
  /** The same stretches of the judged ones, unchanged and by change. */
  readonly lots: ReadonlyMap<string, readonly Stretch[]>;
  readonly referenceFrames: number;
  readonly judgedFrames: number;
  readonly stretch: number;
}

export interface Scene {
  readonly kind: string;
  readonly strength: Strength | '';
  /** Stretches for one window. */
  draw(world: World, random: () => number): Stretch[];
}

const byModel = <T>(make: (model: Model) => T): Record<Model, T> => Object.fromEntries(modelNames.map((model) => [model, make(model)])) as Record<Model, T>;

function sketchOf(predictions: readonly Prediction[]): Sketch {
  const sketch = emptySketch();
  for (const p of predictions) addFrame(sketch, p, p.embedding && mapEmbedding(new Float32Array(p.embedding.buffer.slice(p.embedding.byteOffset, p.embedding.byteOffset + p.embedding.length))));
  return sketch;
}

function stretchesOf(answers: Answers, wanted: (frame: number) => boolean): Stretch[] {
  const chosen = byModel((model) => answers[model].filter((_, i) => wanted(i)));
  const count = Math.floor(chosen.nanodet.length / stretch);
  return Array.from({ length: count }, (_, s) => {
    const frames = byModel((model) => chosen[model].slice(s * stretch, (s + 1) * stretch));
    return { frames, sketches: byModel((model) => sketchOf(frames[model])) };
  });
}

/** Which of the judged stretches are put through the changes, spread over all of them. */
export const isShifted = (judgedStretch: number, of: number): boolean => judgedStretch % Math.max(1, Math.floor(of / shiftedStretches)) === 0;

export function prepare(asked: ReadonlyMap<string, Asked>): World {
  const usual = asked.get('usual')!.answers;
  const reference = stretchesOf(usual, (i) => !isJudged(i));
  const judged = stretchesOf(usual, isJudged);
  const lots = new Map([...asked].filter(([name]) => name !== 'usual').map(([name, { answers }]) => [name, stretchesOf(answers, () => true)]));
  lots.set('unchanged', judged.filter((_, i) => isShifted(i, judged.length)));
  const random = uniform(5);
  const drawn = Array.from({ length: referenceBlocks }, () => Array.from({ length: blockStretches }, () => pick(reference, random)));
  const normals = byModel((model) => {
    const blocks = drawn.map((part, i): Block => ({ start: (i * windowMs * blockStretches) / windowStretches, ...summed(part, model) }));
    return normalOf({ blocks: joinBlocks(blocks) });
  });
  return { normals, reference, judged, lots, referenceFrames: reference.length * stretch, judgedFrames: judged.length * stretch, stretch };
}

export function summed(part: readonly Stretch[], model: Model): Sketch {
  const all = emptySketch();
  for (const { sketches } of part) merge(all, sketches[model]);
  return all;
}

export const pick = <T>(from: readonly T[], random: () => number): T => from[Math.floor(random() * from.length)]!;
const window = (draw: () => Stretch): Stretch[] => Array.from({ length: windowStretches }, draw);

/** What is most often seen, and how much more of it a stretch has than others, in deviations. */
function commonness(stretches: readonly Stretch[]): number[] {
  const seen = stretches.map(({ sketches }) => ({ ...sketches['efficientnet-lite0'].classes, ...sketches.nanodet.classes }) as Record<string, number>);
  const all: Record<string, number> = {};
  for (const classes of seen) for (const [label, n] of Object.entries(classes)) all[label] = (all[label] ?? 0) + n;
  const [commonest] = Object.entries(all).toSorted(([, a], [, b]) => b - a)[0] ?? [''];
  const counts = seen.map((classes) => classes[commonest] ?? 0);
  const mean = counts.reduce((sum, n) => sum + n, 0) / counts.length;
  const deviation = Math.sqrt(counts.reduce((sum, n) => sum + (n - mean) ** 2, 0) / counts.length);
  return counts.map((n) => (deviation === 0 ? 0 : (n - mean) / deviation));
}

function tilted(stretches: readonly Stretch[], tilt: number, random: () => number): Stretch[] {
  const weights = commonness(stretches).map((z) => Math.exp(tilt * z));
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
