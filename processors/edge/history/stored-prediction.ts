/** Rows of the store as clients read them. */
import { SaccadeError, errorFromCode } from '../../../connectors/errors.ts';
import type { Outcome } from '../../../schemas/api/result.ts';
import type { Seen } from '../../../schemas/api/history.ts';
import type { Prediction } from '../../../schemas/records.ts';
import { type Answered, answerOf } from '../answer.ts';
import { problemBody } from '../problem.ts';

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
  /** Of a classifier, side by side. */
  readonly names: readonly string[];
  readonly scores: readonly number[];
  /** Of a detector. */
  readonly box_names: readonly string[];
  readonly box_scores: readonly number[];
  readonly x1: readonly number[];
  readonly y1: readonly number[];
  readonly x2: readonly number[];
  readonly y2: readonly number[];
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly cached: boolean;
  readonly trace_id: string | null;
}

/** Of predictions_raw. As they lie there where that will do: whatever is worked out is planned anew with each question. */
export const columns = `
  id, frame_id, source, sequence,
  toUnixTimestamp64Milli(captured_at) AS captured_ms, toUnixTimestamp64Milli(accepted_at) AS accepted_ms, toUnixTimestamp64Milli(completed_at) AS completed_ms,
  status, stage, reason, detail, model, version, fallback_for, task, image_width, image_height,
  labels.label AS names, labels.score AS scores, detections.label AS box_names, detections.score AS box_scores,
  detections.x1 AS x1, detections.y1 AS y1, detections.x2 AS x2, detections.y2 AS y2,
  timings_ms, cached, trace_id`;

/**
 * Ids as a condition, for PREWHERE: FINAL goes by them, so before it. In the text, which travels as a body: parameters travel in
 * the URL, whose length servers bound.
 */
export const named = (rows: readonly Pick<StoredPrediction, 'id'>[]): string => `id IN (${rows.map(({ id }) => `'${id}'`).join(', ')})`;

/** As it came through the log. Its embedding is left out: no client is told it. */
const asLogged = (row: StoredPrediction): Answered & Pick<Prediction, 'id' | 'source' | 'sequence' | 'stage' | 'captured_at' | 'completed_at'> => ({
  ...row,
  captured_at: row.captured_ms,
  completed_at: row.completed_ms,
  labels: row.names.map((label, i) => ({ label, score: row.scores[i]! })),
  detections: row.box_names.map((label, i) => ({ label, score: row.box_scores[i]!, x1: row.x1[i]!, y1: row.y1[i]!, x2: row.x2[i]!, y2: row.y2[i]! })),
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
