import { SaccadeError } from '../../connectors/errors.ts';
import { classScores, type Model } from '../../schemas/model-card.ts';
import type { Label } from '../../schemas/records.ts';

/** The `top` best classes that reach the card's score, or their own, best first. Throws inference_failed when a probability is not a number. */
export function bestLabels(probabilities: Float32Array, model: Model): Label[] {
  const { card, labels } = model;
  const own = classScores(model);
  const { score: usual, top } = card.thresholds;
  const best: Label[] = [];
  /** Of the last of them, once there are enough: read from there for each class it would be a number made anew each time. */
  let least = Number.NEGATIVE_INFINITY;
  for (let class_id = 0; class_id < probabilities.length; class_id++) {
    const score = probabilities[class_id]!;
    if (Number.isNaN(score)) throw new SaccadeError('inference_failed', `${card.name} answered NaN for class ${class_id}.`);
    if (score <= least || score < (own.size === 0 ? usual : (own.get(class_id) ?? usual))) continue;
    // Almost never reached: inserting into a handful beats sorting a thousand.
    const at = best.findIndex((other) => score > other.score);
    best.splice(at < 0 ? best.length : at, 0, { class_id, label: labels[class_id] ?? `class ${class_id}`, score });
    best.length = Math.min(best.length, top);
    if (best.length === top) least = best.at(-1)!.score;
  }
  return best;
}

/** As it is stored: float32, little endian (as every platform ONNX Runtime is built for lays them out). */
export const embeddingBytes = (embedding: Float32Array<ArrayBuffer>): Buffer =>
  Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength);
