/** The outcome of a frame whose answer is known already, by an identical picture. */
import type { KnownAnswer } from './known-answer.ts';
import { ofFrame } from './of-frame.ts';
import type { FrameIdentity, Picture, Prediction } from './records.ts';

export interface Answering {
  /** The version that was to answer, where its fallback did. */
  readonly fallbackFor: string | null;
  readonly timings_ms: Readonly<Record<string, number>>;
  readonly at: number;
}

export function answered(frameId: string, frame: FrameIdentity & { readonly picture: Picture | null }, model: string, known: KnownAnswer, { fallbackFor, timings_ms, at }: Answering): Prediction {
  return {
    ...ofFrame(frameId, frame, model),
    completed_at: at,
    status: 'ok',
    stage: null,
    reason: null,
    detail: null,
    fallback_for: fallbackFor,
    ...known,
    timings_ms: { ...timings_ms },
    cached: true,
  };
}
