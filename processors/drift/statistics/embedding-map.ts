/**
 * An embedding as the few numbers that are summed up: a random projection of it, and random Fourier features of that. The
 * directions and frequencies are drawn once and for ever, so that sums of different windows, processes and months compare.
 */
import { normal } from './random.ts';

/** Dimensions of the projection. Distances between means survive it to a quarter or so (Johnson & Lindenstrauss, 1984), at a fortieth of the cost. */
export const projectedSize = 32;
/** Widths of the Gaussian kernels, in distances of embeddings of length 1: one camera's pictures differ by a tenth, unlike ones by one. */
const widths = [0.1, 0.25, 0.6] as const;
const frequenciesOfAWidth = 16;
/** A cosine and a sine for each frequency. */
export const fourierSize = 2 * frequenciesOfAWidth * widths.length;

const projectionSeed = 0x5acc;
const fourierSeed = 0xade5;

const directions = new Map<number, Float32Array>();

/** Drawn by position, so that they do not depend on which length was met first. */
function directionsOf(length: number): Float32Array {
  let found = directions.get(length);
  if (!found) {
    const draw = normal(projectionSeed ^ length);
    found = Float32Array.from({ length: length * projectedSize }, () => draw() / Math.sqrt(projectedSize));
    directions.set(length, found);
  }
  return found;
}

const frequencies = (() => {
  const draw = normal(fourierSeed);
  return Float64Array.from({ length: (fourierSize / 2) * projectedSize }, (_, i) => draw() / widths[Math.floor(i / projectedSize / frequenciesOfAWidth)]!);
})();

export interface MappedEmbedding {
  /** Of the embedding scaled to length 1: `projectedSize` numbers. */
  readonly projected: Float64Array;
  /** Its random Fourier features, scaled so that the product of two is the mean kernel: `fourierSize` numbers. */
  readonly fourier: Float64Array;
}

/**
 * Null for an embedding without direction: of length 0, or not made of numbers.
 * Source: Rahimi & Recht, Random Features for Large-Scale Kernel Machines, 2007 (the variant with both cosine and sine).
 */
export function mapEmbedding(embedding: Float32Array): MappedEmbedding | null {
  let squares = 0;
  for (let i = 0; i < embedding.length; i++) squares += embedding[i]! * embedding[i]!;
  if (!(squares > 0) || !Number.isFinite(squares)) return null;
  const along = directionsOf(embedding.length);
  const projected = new Float64Array(projectedSize);
  for (let i = 0, at = 0; i < embedding.length; i++) {
    const value = embedding[i]!;
    // After a rectifier about a third are 0.
    if (value === 0) at += projectedSize;
    else for (let j = 0; j < projectedSize; j++) projected[j]! += value * along[at++]!;
  }
  const length = Math.sqrt(squares);
  for (let j = 0; j < projectedSize; j++) projected[j]! /= length;
  return { projected, fourier: fourierFeatures(projected) };
}

/** cos(w·x) and sin(w·x) for each frequency, over the root of their number. */
export function fourierFeatures(point: ArrayLike<number>): Float64Array {
  const features = new Float64Array(fourierSize);
  const scale = Math.sqrt(2 / fourierSize);
  for (let i = 0; i < fourierSize / 2; i++) {
    let angle = 0;
    for (let j = 0; j < projectedSize; j++) angle += frequencies[i * projectedSize + j]! * point[j]!;
    features[2 * i] = scale * Math.cos(angle);
    features[2 * i + 1] = scale * Math.sin(angle);
  }
  return features;
}
