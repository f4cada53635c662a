import { SaccadeError } from '../../connectors/errors.ts';
import { classScores, type Model } from '../../schemas/model-card.ts';
import type { Detection, Geometry } from '../../schemas/records.ts';
import { suppress, type ScoredBox } from './nms.ts';

/**
 * Boxes of one picture from a detector's rows: x1, y1, x2, y2 in 0..1 of the tensor, score and, for detectors of several
 * classes (stride 6), the class. Threshold, suppression, then back to pixels of the upright original, clipped to it.
 * Throws inference_failed when a row is not made of numbers.
 */
export function findBoxes(rows: Float32Array, stride: 5 | 6, model: Model, geometry: Geometry): Detection[] {
  const { thresholds, name } = model.card;
  const own = classScores(model);
  const candidates: ScoredBox[] = [];
  for (let at = 0; at + stride <= rows.length; at += stride) {
    const row = rows.subarray(at, at + stride);
    if (!row.every(Number.isFinite)) throw new SaccadeError('inference_failed', `${name} answered a box that is not made of numbers.`);
    const [x1, y1, x2, y2, score, class_id = 0] = row as unknown as [number, number, number, number, number, number?];
    if (score >= (own.get(class_id) ?? thresholds.score)) candidates.push({ x1, y1, x2, y2, score, class_id });
  }
  return suppress(candidates, thresholds.iou, thresholds.top)
    .map((box) => ({ ...box, ...toPixels(box, geometry), label: labelOf(model, box.class_id) }))
    .filter(({ x1, y1, x2, y2 }) => x2 > x1 && y2 > y1);
}

function toPixels(box: ScoredBox, geometry: Geometry): Pick<Detection, 'x1' | 'y1' | 'x2' | 'y2'> {
  const across = (x: number): number => Math.min(Math.max(geometry.x + x * geometry.width, 0), geometry.image_width);
  const down = (y: number): number => Math.min(Math.max(geometry.y + y * geometry.height, 0), geometry.image_height);
  return { x1: across(box.x1), y1: down(box.y1), x2: across(box.x2), y2: down(box.y2) };
}

const labelOf = ({ card, labels }: Model, class_id: number): string =>
  card.task === 'faces' ? 'face' : (labels[class_id] ?? `class ${class_id}`);
