/**
 * The blocks of a window: stretches of half a minute and of fifty frames at least. Frames of a camera resemble their
 * neighbours, so what chance does to a window is learnt by shuffling blocks, never frames.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { SaccadeError } from '../../connectors/errors.ts';
import { addSample, noSamples, type Samples } from './samples.ts';
import { addFrame, emptySketch, settle, type Sketch } from './sketch.ts';
import type { MappedEmbedding } from './statistics/embedding-map.ts';
import type { Prediction } from '../../schemas/records.ts';

export interface Block extends Sketch {
  /** Event time of its first frame, milliseconds since the epoch. */
  readonly start: number;
  /** Of its frames with an embedding; absent where there are none, and in what was written before frames were sampled. */
  samples?: Samples;
}

const leastMs = 30_000;
const leastFrames = 50;

/** The block that a frame of this time belongs to: the last one, or a new one behind it. */
export function blockAt(blocks: Block[], at: number): Block {
  const last = blocks.at(-1);
  if (last && (last.frames < leastFrames || at - last.start < leastMs)) return last;
  if (last) settle(last);
  const next: Block = { start: at, ...emptySketch() };
  blocks.push(next);
  return next;
}

export function addToBlock(block: Block, prediction: Prediction, embedding: MappedEmbedding | null): void {
  addFrame(block, prediction, embedding);
  if (embedding) addSample((block.samples ??= noSamples()), prediction, embedding);
}

/** Blocks as a few kilobytes. */
export const packBlocks = (blocks: readonly Block[]): Buffer => deflateRawSync(JSON.stringify(blocks));

/** Throws undecodable_record. */
export function unpackBlocks(bytes: Uint8Array): Block[] {
  try {
    return JSON.parse(inflateRawSync(bytes).toString()) as Block[];
  } catch (error) {
    throw new SaccadeError('undecodable_record', `Blocks of a window: ${(error as Error).message}.`, error);
  }
}
