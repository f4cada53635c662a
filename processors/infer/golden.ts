/** The golden image: a model is served only if it answers a known picture as its card says. */
import { SaccadeError } from '../../connectors/errors.ts';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import type { Geometry } from '../../schemas/records.ts';
import { answersOf } from './answers.ts';
import type { Engine } from './engine.ts';
import { iou } from './nms.ts';

/** Cuts a model's input out of an encoded picture, as preprocess does. */
export type CutPicture = (image: Buffer, model: Model) => Promise<{ readonly pixels: Uint8Array; readonly geometry: Geometry }>;

/** Another decoder, another kernel of the same operator: what may lie between two right answers. */
const scoreTolerance = 0.1;
const leastOverlap = 0.75;

/** Throws invalid_model naming what was expected and what came. A model whose card names no picture passes. */
export async function checkGolden(engine: Engine, model: Model, cut: CutPicture, image: Buffer): Promise<void> {
  const { golden } = model.card;
  if (!golden) return;
  const { pixels, geometry } = await cut(image, model);
  const [result] = await engine.run(model, [{ pixels, source: 'golden', urgent: false, deadline: null }], { alone: true });
  if (!result!.ok) throw new SaccadeError('invalid_model', `${keyOf(model)} fails on its golden image ${golden.image}: ${result!.error.message}`);
  const { labels, detections } = answersOf(result!.outputs, model, geometry);
  for (const { label, score, box } of golden.expect) {
    const close = (found: { label: string; score: number }): boolean => found.label === label && Math.abs(found.score - score) <= scoreTolerance;
    const there = box
      ? detections.some((found) => close(found) && iou(found, boxOf(box)) >= leastOverlap)
      : [...labels, ...detections].some(close);
    if (there) continue;
    const found = [...labels, ...detections].slice(0, 3).map((one) => `${one.label} ${one.score.toFixed(2)}`);
    throw new SaccadeError('invalid_model', `${keyOf(model)}: of its golden image ${golden.image} the card expects ${label} ${score}${box ? ` at ${box}` : ''}, the answer is ${found.join(', ') || 'nothing'}`);
  }
}

const boxOf = ([x1, y1, x2, y2]: readonly [number, number, number, number]) => ({ x1, y1, x2, y2, score: 1, class_id: 0 });
