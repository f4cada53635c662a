/** The outcome of a frame whose answer is known already, by an identical picture. */
import { predictionId } from './ids.ts';
import type { KnownAnswer } from './known-answer.ts';
import type { FrameIdentity, Picture, Prediction } from './records.ts';

export interface Answering {
  /** The version that was to answer, where its fallback did. */
  readonly fallbackFor: string | null;
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly at: number;
}

export function answered(frameId: string, frame: FrameIdentity & { readonly picture: Picture | null }, model: string, known: KnownAnswer, { fallbackFor, timings_ms, at }: Answering): Prediction {
  return {
    id: predictionId(frameId, model),
    frame_id: frameId,
    tenant: frame.tenant,
    source: frame.source,
    sequence: frame.sequence,
    captured_at: frame.captured_at,
    accepted_at: frame.accepted_at,
    completed_at: at,
    status: 'ok',
    stage: null,
    reason: null,
    detail: null,
    model,
    fallback_for: fallbackFor,
    ...known,
    timings_ms: { ...timings_ms },
    request_id: frame.reply?.request_id ?? null,
    cached: true,
    picture: frame.picture,
  };
}
