/** The outcome of a frame that got no result: what the sink counts and the asking client is told. */
import { ofFrame } from './of-frame.ts';
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
    ...ofFrame(frameId, frame, model),
    completed_at: ending.at,
    status: ending.status,
    stage: ending.stage,
    reason: ending.reason,
    detail: ending.detail === '' ? null : ending.detail,
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
    cached: false,
  };
}
