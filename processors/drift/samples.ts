/**
 * A few frames of each block, whole and not summed up: a classifier learns from these whether frames of now can be told from
 * those of the reference.
 */
import type { Prediction } from '../../schemas/records.ts';
import { type MappedEmbedding, projectedSize } from './statistics/embedding-map.ts';

/** Plain data, as it lies in the log. */
export interface Samples {
  /** Every how manieth frame is kept by now. */
  every: number;
  seen: number;
  /** Whole numbers, by frame: the projected embedding in steps of 1/250, then the qualities in steps of their own. */
  rows: number[][];
}

/** Frames of a block that are kept; neighbours say little that one of them does not. */
const most = 5;

/** What is known of the picture, in steps that are small beside what a camera does by itself. */
const qualities: readonly ((quality: NonNullable<Prediction['quality']>) => number)[] = [
  ({ luma }) => 2 * luma,
  ({ contrast }) => 2 * contrast,
  ({ sharpness }) => 20 * Math.log1p(Math.max(0, sharpness)),
  ({ saturation }) => 250 * (saturation ?? 0),
  ({ entropy }) => 50 * (entropy ?? 0),
];
export const sampleSize = projectedSize + qualities.length;

export const noSamples = (): Samples => ({ every: 1, seen: 0, rows: [] });

export function addSample(samples: Samples, { quality }: Prediction, { projected }: MappedEmbedding): void {
  if (samples.seen++ % samples.every !== 0) return;
  const row = [...projected].map((value) => whole(250 * value));
  for (const of of qualities) {
    row.push(quality ? whole(of(quality)) : 0);
  }
  samples.rows.push(row);
  if (samples.rows.length > most) thin(samples);
}

/** Nothing of what is no number, and never −0, which JSON does not bring back. */
const whole = (value: number): number => (Number.isFinite(value) ? Math.round(value) || 0 : 0);

/** Every other one goes: those that stay lie evenly over the block, however long it grows. */
function thin(samples: Samples): void {
  samples.every *= 2;
  samples.rows = samples.rows.filter((_, i) => i % 2 === 0);
}

/** Of blocks that have become one. */
export function joinSamples(all: readonly (Samples | undefined)[]): Samples | undefined {
  const found = all.filter((samples) => samples !== undefined);
  if (found.length === 0) return undefined;
  const rows = found.flatMap((samples) => samples.rows);
  const step = Math.max(1, Math.ceil(rows.length / most));
  return { every: step * found[0]!.every, seen: found.reduce((sum, { seen }) => sum + seen, 0), rows: rows.filter((_, i) => i % step === 0) };
}
