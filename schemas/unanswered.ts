/** The outcome of a frame that got no result: what the sink counts and the asking client is told. */
import { predictionId } from './ids.ts';
import type { FrameIdentity, Picture, Prediction, Status } from './records.ts';

export interface Ending {
  readonly status: Exclude<Status, 'ok'>;
  readonly stage: string;
  readonly reason: string;
  readonly detail: string;
  readonly at: number;
}

export function unanswered(frameId: string, frame: FrameIdentity & { readonly picture?: Picture | null }, model: string, ending: Ending): Prediction {
  return {
    id: predictionId(frameId, model),
    frame_id: frameId,
    tenant: frame.tenant,
    source: frame.source,
    sequence: frame.sequence,
    captured_at: frame.captured_at,
    accepted_at: frame.accepted_at,
    completed_at: ending.at,
    status: ending.status,
    stage: ending.stage,
    reason: ending.reason,
    detail: ending.detail === '' ? null : ending.detail,
    model,
    version: null,
    fallback_for: null,
    task: null,
    image_width: null,
    image_height: null,
    labels: [],
    detections: [],
    embedding: null,
    quality: null,
    timings_ms: {},
    request_id: frame.reply?.request_id ?? null,
    cached: false,
    picture: frame.picture ?? null,
  };
}
