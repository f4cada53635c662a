/** A prediction as a client reads it. */
import { errorFromCode, SaccadeError } from '../../connectors/errors.ts';
import type { Answer } from '../../schemas/api/answer.ts';
import type { Detection, Label, Prediction } from '../../schemas/records.ts';

type Named = Pick<Label, 'label' | 'score'>;
type Boxed = Named & Pick<Detection, 'x1' | 'y1' | 'x2' | 'y2'>;

/** What of a prediction an answer is made of, from the log or from the store. */
export type Answered = Pick<
  Prediction,
  'frame_id' | 'model' | 'version' | 'fallback_for' | 'task' | 'status' | 'reason' | 'detail' | 'image_width' | 'image_height' | 'cached'
> & { readonly labels: readonly Named[]; readonly detections: readonly Boxed[]; readonly timings_ms: Readonly<Record<string, number>> };

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

const labelOut = ({ label, score }: Named) => ({ label, score: round(score, 4) });
const detectionOut = (d: Boxed) => ({
  label: d.label,
  score: round(d.score, 4),
  box: [d.x1, d.y1, d.x2, d.y2].map((corner) => round(corner, 1)),
});

/** Throws the error a frame without a result ended with. */
export function answerOf(prediction: Answered): Answer {
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
