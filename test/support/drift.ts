/** Streams made up for the tests of drift: what a fixed camera and a model would say, frame by frame, with seeded chance. */
import { normal, uniform } from '../../processors/drift/statistics/random.ts';
import { predictionId } from '../../schemas/ids.ts';
import type { Prediction } from '../../schemas/records.ts';
import { prediction } from '../contracts/store.ts';

export const noon = Date.UTC(2026, 0, 5, 12);

export interface World {
  readonly luma: number;
  readonly sharpness: number;
  /** Cats among what is seen, 0..1; the rest are persons. */
  readonly cats: number;
  readonly score: number;
  /** Boxes of a frame, on average. */
  readonly boxes: number;
  /** Added to all of the embedding's first half. */
  readonly look: number;
}

export const usual: World = { luma: 120, sharpness: 800, cats: 0.2, score: 0.7, boxes: 2, look: 0 };

export interface StreamOptions {
  readonly seed: number;
  readonly source?: string;
  readonly model?: string;
  readonly from?: number;
  readonly frames: number;
  readonly fps?: number;
  readonly world?: World;
  readonly embeddings?: boolean;
}

const sizes = { embedding: 64, correlated: 0.97 };

/** Frames resemble their neighbours, as those of a camera do: all that is seen follows slow swings. */
export function stream({ seed, source = 'gate', model = 'nanodet', from = noon, frames, fps = 4, world = usual, embeddings = true }: StreamOptions): Prediction[] {
  const [bell, even] = [normal(seed), uniform(seed ^ 0xff)];
  const swings = Array.from({ length: 8 }, () => bell());
  const base = Float32Array.from({ length: sizes.embedding }, (_, i) => 1 + Math.sin(i));
  return Array.from({ length: frames }, (_, i) => {
    for (let j = 0; j < swings.length; j++) swings[j] = sizes.correlated * swings[j]! + Math.sqrt(1 - sizes.correlated ** 2) * bell();
    const at = from + Math.round((i * 1000) / fps);
    const frame_id = predictionId(`${source}/${seed}/${i}`, 'frame');
    const count = Math.max(0, Math.round(world.boxes + swings[0]!));
    const detections = Array.from({ length: count }, (_box, box) => {
      const cat = even() < world.cats;
      const [x, y, size] = [320 + 80 * swings[(1 + box) % 8]! + 20 * bell(), 240 + 40 * bell(), 60 * Math.exp(0.3 * bell())];
      return { class_id: cat ? 1 : 0, label: cat ? 'cat' : 'person', score: Math.min(0.99, Math.max(0.36, world.score + 0.05 * swings[2]! + 0.05 * bell())), x1: x - size / 2, y1: y - size, x2: x + size / 2, y2: y + size };
    });
    const embedding = base.map((value, d) => value + 0.1 * swings[d % 8]! + 0.05 * bell() + (d < sizes.embedding / 2 ? world.look : 0));
    return prediction({
      id: predictionId(frame_id, model),
      frame_id,
      source,
      model,
      sequence: i,
      captured_at: at,
      accepted_at: at + 40,
      completed_at: at + 90,
      task: 'detection',
      detections,
      quality: { luma: world.luma + 4 * swings[3]! + bell(), contrast: 45 + 2 * swings[4]!, sharpness: world.sharpness * Math.exp(0.1 * swings[5]!), saturation: null, entropy: null },
      embedding: embeddings ? Buffer.from(embedding.buffer) : null,
    });
  });
}
