/** What a model's outputs say of a picture. */
import type { Model } from '../../schemas/model-card.ts';
import type { Geometry, Prediction } from '../../schemas/records.ts';
import { bestLabels, embeddingBytes } from './classification.ts';
import { findBoxes } from './detection.ts';

export type Answers = Pick<Prediction, 'labels' | 'detections' | 'embedding'>;

/** Throws inference_failed when the outputs are not made of numbers. */
export function answersOf(outputs: Readonly<Record<string, Float32Array<ArrayBuffer>>>, model: Model, geometry: Geometry): Answers {
  if (model.card.task === 'classification') {
    const embedding = outputs.embedding ? embeddingBytes(outputs.embedding) : null;
    return { labels: bestLabels(outputs.probabilities!, model), detections: [], embedding };
  }
  const detections = model.card.task === 'faces' ? findBoxes(outputs.faces!, 5, model, geometry) : findBoxes(outputs.detections!, 6, model, geometry);
  return { labels: [], detections, embedding: null };
}
