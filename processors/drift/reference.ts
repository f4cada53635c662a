/** What is normal for a stream, in versions; and what chance alone makes of a window of it. */
import { setImmediate as otherWork } from 'node:timers/promises';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Block } from './blocks.ts';
import type { Calibration } from './calibration.ts';
import { compare, type Distance } from './compare.ts';
import { type DomainClassifier, domainClassifier } from './domain-classifier.ts';
import { joinSamples } from './samples.ts';
import { newClass } from './features.ts';
import { emptySketch, merge, merged, type Sketch } from './sketch.ts';
import { fitRare, fitTail, type Tail } from './statistics/tail.ts';

/** A time of day, such as the night. */
export interface PartOfDay {
  readonly name: string;
  /** Minutes of the day in UTC, `from` included and `to` not; it may go over midnight. Equal: all day. */
  readonly from: number;
  readonly to: number;
}

/** The part of a reference for a time of day. */
export interface ReferencePart extends PartOfDay {
  /** In the order of the stream. */
  readonly blocks: readonly Block[];
}

/** Plain data, as it lies in the topic. */
export interface Reference {
  readonly version: string;
  /** Milliseconds since the epoch, here and below: when it was made, and of what time. */
  readonly madeAt: number;
  readonly from: number;
  readonly to: number;
  /** The source whose frames it is made of; another than the one it is for, where that is a data set. */
  readonly of: string;
  readonly parts: readonly ReferencePart[];
  /** What the model's confidence is worth here, once that has been learnt from labels. */
  readonly calibration?: Calibration;
}

/** Fewer blocks say too little of what chance does. */
export const leastBlocks = 40;
/** More are joined with their neighbours, which bounds what a reference takes: of a week, each is then as long as a window, and varies as one does. */
export const mostBlocks = 2_100;

export const packReference = (reference: Reference): Buffer => deflateRawSync(JSON.stringify(reference));

/** Throws undecodable_record. */
export function unpackReference(bytes: Uint8Array): Reference {
  try {
    return JSON.parse(inflateRawSync(bytes).toString()) as Reference;
  } catch (error) {
    throw new SaccadeError('undecodable_record', `A reference: ${(error as Error).message}.`, error);
  }
}

/** The part for a time, or null where the reference has none for it. */
export function partAt<P extends PartOfDay>({ parts }: { readonly parts: readonly P[] }, at: number): P | null {
  const minute = Math.floor((at % 86_400_000) / 60_000);
  return parts.find(({ from, to }) => (from < to ? minute >= from && minute < to : minute >= from || minute < to)) ?? null;
}

/** Neighbours joined until no more than `most` are left. */
export function joinBlocks(blocks: readonly Block[], most = mostBlocks): Block[] {
  const each = Math.ceil(blocks.length / most);
  return Array.from({ length: Math.ceil(blocks.length / each) }, (_, i) => {
    const joined = blocks.slice(i * each, (i + 1) * each);
    const samples = joinSamples(joined.map((block) => block.samples));
    return { start: joined[0]!.start, ...merged(joined), ...(samples && { samples }) };
  });
}

/** A part made ready to be compared with. */
export interface Normal {
  readonly total: Sketch;
  /**
   * Of how many of its blocks a run is like a window of so many frames in so much time; 1 and up. Down to one of four lengths of each
   * octave: no two hours have as many frames, and to work out one length takes a second.
   */
  runLike(frames: number, durationMs: number): number;
  /** How unusual a distance is for a window of so many frames in so much time, by feature. Gives the thread up while it works out a length for the first time. */
  tails(frames: number, durationMs: number): Promise<ReadonlyMap<string, Tails>>;
  /** Null where no frames were sampled. */
  readonly domain: DomainClassifier | null;
}

/** How unusual a feature's distance is, and how unusual the way its middle has moved. */
export interface Tails {
  readonly value: Tail;
  readonly shift: Tail;
}

/** Rounded down: a shorter stretch varies more, so that fewer windows are called unusual. */
function coarse(length: number): number {
  const step = Math.max(1, 2 ** Math.floor(Math.log2(length) - 2));
  return Math.floor(length / step) * step;
}

const alike = (tail: Tail): Tails => ({ value: tail, shift: tail });

/** `load` answers the blocks, which are many megabytes: they are asked for when they are needed, and not held. */
export function normalOf(load: () => readonly Block[]): Normal {
  const blocks = load();
  const most = Math.floor(blocks.length / 4);
  const total = merged(blocks);
  const framesOfBlock = total.frames / blocks.length;
  const msOfBlock = medianStep(blocks);
  const known = new Map<number, ReadonlyMap<string, Tails>>();
  const runLike = (frames: number, durationMs: number): number => coarse(Math.min(Math.max(1, Math.floor(Math.min(frames / framesOfBlock, durationMs / msOfBlock) + 0.01)), most));
  return {
    total,
    domain: domainClassifier(load),
    runLike,
    async tails(frames, durationMs) {
      const length = runLike(frames, durationMs);
      let tails = known.get(length);
      if (!tails) known.set(length, (tails = await tailsOfRuns(load(), total, length)));
      return tails;
    },
  };
}

function medianStep(blocks: readonly Block[]): number {
  const steps = blocks.slice(1).map(({ start }, i) => start - blocks[i]!.start).sort((a, b) => a - b);
  return Math.max(1, steps[steps.length >> 1] ?? 1);
}

/** Runs that are compared before others get their turn: some 20 ms. */
const runsInARow = 24;

/**
 * Every run of `length` blocks in turn (round the end) as if it were a window, against the rest: whatever those distances are, nothing
 * has changed. Frames in a row resemble each other, and runs keep that; shuffled frames would vary far less than any real window.
 * Source: Politis & Romano, subsampling, 1994; the blocks are those of Künsch, 1989.
 */
async function tailsOfRuns(blocks: readonly Block[], total: Sketch, length: number): Promise<ReadonlyMap<string, Tails>> {
  const seen = new Map<string, Distance[]>();
  const [run, rest] = [emptySketch(), emptySketch()];
  merge(rest, total);
  const move = (block: Block, sign: 1 | -1): void => {
    merge(run, block, sign);
    merge(rest, block, sign === 1 ? -1 : 1);
  };
  for (let i = 0; i < length; i++) move(blocks[i]!, 1);
  for (let i = 0; i < blocks.length; i++) {
    for (const [name, distance] of compare(rest, run)) {
      const others = seen.get(name);
      if (others) others.push(distance);
      else seen.set(name, [distance]);
    }
    move(blocks[i]!, -1);
    move(blocks[(i + length) % blocks.length]!, 1);
    if (i % runsInARow === runsInARow - 1) await otherWork();
  }
  const tailsOf = (name: string, distances: readonly Distance[]): Tails => {
    const values = distances.map(({ value }) => value);
    // Almost always nothing; and neighbouring runs, which overlap, say it but once.
    if (name === newClass.name) return alike(fitRare(values, blocks.length / length));
    return { value: fitTail(values), shift: fitTail(distances.map(({ shift }) => shift)) };
  };
  return new Map([...seen].map(([name, distances]) => [name, tailsOf(name, distances)]));
}
