/** A prediction as a client reads it. */
import { errorFromCode, SaccadeError } from '../../connectors/errors.ts';
import type { Detection, Label, Prediction } from '../../schemas/records.ts';

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

const labelOut = ({ label, score }: Label) => ({ label, score: round(score, 4) });
const detectionOut = (d: Detection) => ({
  label: d.label,
  score: round(d.score, 4),
  box: [d.x1, d.y1, d.x2, d.y2].map((corner) => round(corner, 1)),
});

/** Throws the error a frame without a result ended with. */
export function answerOf(prediction: Prediction) {
  if (prediction.status === 'dropped') throw new SaccadeError('deadline_exceeded', prediction.detail ?? '');
  if (prediction.status === 'dead_lettered') throw errorFromCode(prediction.reason ?? 'internal', prediction.detail ?? '');
  return {
    id: prediction.frame_id,
    model: prediction.model,
    version: prediction.version,
    ...(prediction.fallback_for === null ? {} : { fallback_for: prediction.fallback_for }),
    ...(prediction.task === 'classification'
      ? { predictions: prediction.labels.map(labelOut) }
      : { detections: prediction.detections.map(detectionOut) }),
    image: { width: prediction.image_width, height: prediction.image_height },
    cached: prediction.cached,
    timings_ms: Object.fromEntries(Object.entries(prediction.timings_ms).map(([phase, ms]) => [phase, round(ms, 2)])),
  };
}
