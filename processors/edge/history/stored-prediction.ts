/** Rows of the store as clients read them. */
import { SaccadeError, errorFromCode } from '../../../connectors/errors.ts';
import type { Outcome } from '../../../schemas/api/result.ts';
import type { Seen } from '../../../schemas/api/history.ts';
import type { Prediction } from '../../../schemas/records.ts';
import { type Answered, answerOf } from '../answer.ts';
import { problemBody } from '../problem.ts';

type Box = readonly [label: string, score: number, x1: number, y1: number, x2: number, y2: number];

/** As `columns` answers it. */
export interface StoredPrediction {
  readonly id: string;
  readonly frame_id: string;
  readonly source: string;
  readonly sequence: number | null;
  readonly captured_ms: number;
  readonly accepted_ms: number;
  readonly completed_ms: number;
  readonly status: 'ok' | 'dropped' | 'dead_lettered';
  readonly stage: string | null;
  readonly reason: string | null;
  readonly detail: string | null;
  readonly model: string;
  readonly version: string | null;
  readonly fallback_for: string | null;
  readonly task: string | null;
  readonly image_width: number | null;
  readonly image_height: number | null;
  readonly named: readonly (readonly [label: string, score: number])[];
  readonly boxes: readonly Box[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly cached: boolean;
  readonly trace_id: string | null;
}

/** Of predictions_raw. */
export const columns = `
  toString(id) AS id, toString(frame_id) AS frame_id, source, sequence,
  toUnixTimestamp64Milli(captured_at) AS captured_ms, toUnixTimestamp64Milli(accepted_at) AS accepted_ms, toUnixTimestamp64Milli(completed_at) AS completed_ms,
  status, stage, reason, detail, model, version, fallback_for, task, image_width, image_height,
  arrayZip(labels.label, labels.score) AS named,
  arrayZip(detections.label, detections.score, detections.x1, detections.y1, detections.x2, detections.y2) AS boxes,
  timings_ms, cached, trace_id`;

/**
 * Ids as a condition, for PREWHERE: FINAL goes by them, so before it. In the text, which travels as a body: parameters travel in
 * the URL, whose length servers bound.
 */
export const named = (rows: readonly Pick<StoredPrediction, 'id'>[]): string => `predictions_raw.id IN (${rows.map(({ id }) => `'${id}'`).join(', ')})`;

/** As it came through the log. Its embedding is left out: no client is told it. */
const asLogged = (row: StoredPrediction): Answered & Pick<Prediction, 'id' | 'source' | 'sequence' | 'stage' | 'captured_at' | 'completed_at'> => ({
  ...row,
  captured_at: row.captured_ms,
  completed_at: row.completed_ms,
  labels: row.named.map(([label, score]) => ({ label, score })),
  detections: row.boxes.map(([label, score, x1, y1, x2, y2]) => ({ label, score, x1, y1, x2, y2 })),
});

export function outcomeOf(prediction: Parameters<typeof answerOf>[0]): Outcome {
  const { model, status } = prediction;
  return status === 'ok' ? { model, status, answer: answerOf(prediction) } : { model, status, error: failureOf(prediction) };
}

export const outcomeOfStored = (row: StoredPrediction): Outcome => outcomeOf(asLogged(row));

export const seenOf = (one: ReturnType<typeof asLogged>, traceId: string | null = null): Seen => ({
  id: one.id,
  frame_id: one.frame_id,
  source: one.source,
  sequence: one.sequence,
  captured_at: new Date(one.captured_at).toISOString(),
  completed_at: new Date(one.completed_at).toISOString(),
  latency_ms: one.completed_at - one.captured_at,
  model: one.model,
  status: one.status,
  ...(one.status === 'ok' ? { answer: answerOf(one) } : { error: failureOf(one), ...(one.stage === null ? {} : { stage: one.stage }) }),
  trace_id: traceId,
});

export const seenOfStored = (row: StoredPrediction): Seen => seenOf(asLogged(row), row.trace_id);

const failureOf = ({ status, reason, detail }: Pick<StoredPrediction, 'status' | 'reason' | 'detail'>) =>
  problemBody(status === 'dropped' ? new SaccadeError('deadline_exceeded', detail ?? '') : errorFromCode(reason ?? 'internal', detail ?? ''));
