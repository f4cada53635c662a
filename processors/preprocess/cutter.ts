/** From the bytes of a picture to the tensors of several models, by one decode: fast where the picture is a plain JPEG. */
import sharp from 'sharp';
import type { ModelCard } from '../../schemas/model-card.ts';
import type { Quality } from '../../schemas/records.ts';
import type { DecodeLimits } from './config.ts';
import { decodeImage } from './decode.ts';
import { type FastSize, plainJpeg } from './fast-jpeg/header.ts';
import { type FastJpegPool, fastJpegPool } from './fast-jpeg/pool.ts';
import { measureQuality } from './quality.ts';
import { regionOf, shrinkFor } from './region.ts';
import { type CutTensor, cutTensor, geometryOf } from './tensor.ts';

export interface Cutter {
  start(): Promise<void>;
  /** One tensor for each of `wanted`, in order. Throws what decodeImage throws. */
  cut(bytes: Buffer, wanted: readonly ModelCard['input'][]): Promise<Cuts>;
  /** A tensor it cut that nobody will read again. */
  reuse(pixels: Uint8Array): void;
  stop(): Promise<void>;
}

export interface Cuts {
  readonly quality: Quality;
  readonly tensors: readonly CutTensor[];
}

/** The fast path holds a picture whole; above this libvips, which reads it in strips, costs less. 12 MB at 3 bytes, also at the width of a tensor. */
const mostFastPixels = 4_000_000;

/**
 * `served`: the inputs of all models at that moment, not of those a picture is wanted for: how far it is shrunk while decoding, and so its
 * tensors and statistics, must not depend on the company a question comes in.
 */
export function cutter(served: () => readonly ModelCard['input'][], limits: DecodeLimits, pool: FastJpegPool = fastJpegPool()): Cutter {

  /** The size of a picture that the fast path may try, or null. */
  async function fastSize(bytes: Buffer): Promise<FastSize | null> {
    const found = plainJpeg(bytes);
    if (!found || found.width * found.height > Math.min(limits.maxPixels, mostFastPixels)) return null;
    if (Math.max(...served().map(({ width }) => width)) * found.height > mostFastPixels) return null;
    // Where libvips gets most of the shrink for nothing while decoding, it is faster.
    if (shrinkFor(served(), found) > 1) return null;
    if (found.exif && (await isTurned(bytes))) return null;
    return { width: found.width, height: found.height, grey: found.grey };
  }

  async function fast(bytes: Buffer, wanted: readonly ModelCard['input'][]): Promise<Cuts | null> {
    const size = await fastSize(bytes);
    const found = size && (await pool.cut(bytes, size, wanted));
    if (!found) return null;
    const tensors = found.tensors.map(({ buffer }, i) => ({
      pixels: Buffer.from(buffer),
      geometry: geometryOf({ ...size, original: size }, regionOf(wanted[i]!.fit, size), wanted[i]!),
    }));
    return { quality: found.quality, tensors };
  }

  async function slow(bytes: Buffer, wanted: readonly ModelCard['input'][]): Promise<Cuts> {
    const bitmap = await decodeImage(bytes, served(), limits);
    const quality = measureQuality(bitmap);
    return { quality, tensors: await Promise.all(wanted.map((input) => cutTensor(bitmap, input))) };
  }

  return {
    async start() {
      // One thread a picture: frames run side by side, and libvips's own threads would only take turns with them.
      sharp.concurrency(1);
      // No two frames are the same picture: the cache would hold memory for hits that never come.
      sharp.cache(false);
      await pool.start();
    },
    cut: async (bytes, wanted) => (await fast(bytes, wanted)) ?? slow(bytes, wanted),
    reuse: (pixels) => pool.reuse(pixels),
    stop: () => pool.stop(),
  };
}

async function isTurned(bytes: Buffer): Promise<boolean> {
  try {
    return ((await sharp(bytes).metadata()).orientation ?? 1) !== 1;
  } catch {
    return true;
  }
}
