/** A prediction as a row of predictions_raw (schemas/clickhouse), field for field. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Headers } from '../../connectors/ports.ts';
import type { Prediction } from '../../schemas/records.ts';

export const table = 'predictions_raw';

export type Row = Readonly<Record<string, unknown>>;

/** Throws rejected_by_store for an embedding that is no whole number of floats. Times stay milliseconds since the epoch. */
export function rowOf(prediction: Prediction, headers: Headers): Row {
  const { labels, detections, embedding, quality, timings_ms, ...rest } = prediction;
  if (embedding && embedding.length % 4 !== 0)
    throw new SaccadeError('rejected_by_store', `The embedding has ${embedding.length} bytes, which are no float32s.`);
  return {
    ...rest,
    'labels.class_id': labels.map((l) => l.class_id),
    'labels.label': labels.map((l) => l.label),
    'labels.score': labels.map((l) => float(l.score)),
    'detections.class_id': detections.map((d) => d.class_id),
    'detections.label': detections.map((d) => d.label),
    'detections.score': detections.map((d) => float(d.score)),
    'detections.x1': detections.map((d) => float(d.x1)),
    'detections.y1': detections.map((d) => float(d.y1)),
    'detections.x2': detections.map((d) => float(d.x2)),
    'detections.y2': detections.map((d) => float(d.y2)),
    embedding_base64: embedding?.toString('base64') ?? '',
    luma: quality && float(quality.luma),
    contrast: quality && float(quality.contrast),
    sharpness: quality && float(quality.sharpness),
    timings_ms: Object.fromEntries(Object.entries(timings_ms).map(([phase, ms]) => [phase, float(ms)])),
    trace_id: traceId(headers.traceparent),
  };
}

/** JSON has no word for what is no number, and would say null; ClickHouse reads the word from a string. */
const float = (value: number): number | string => (Number.isFinite(value) ? value : String(value).replace('Infinity', 'inf').toLowerCase());

/** The 32 hex digits of a W3C traceparent, or null. */
const traceId = (traceparent: string | undefined): string | null =>
  /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent ?? '')?.[1] ?? null;
