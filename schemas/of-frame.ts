/** What the outcome of a frame has from the frame, whatever became of it. */
import { predictionId } from './ids.ts';
import type { FrameIdentity, Picture, Prediction } from './records.ts';

type OfFrame = Pick<Prediction, 'id' | 'frame_id' | 'tenant' | 'source' | 'sequence' | 'captured_at' | 'accepted_at' | 'model' | 'request_id' | 'picture'>;

export const ofFrame = (frameId: string, frame: FrameIdentity & { readonly picture?: Picture | null }, model: string): OfFrame => ({
  id: predictionId(frameId, model),
  frame_id: frameId,
  tenant: frame.tenant,
  source: frame.source,
  sequence: frame.sequence,
  captured_at: frame.captured_at,
  accepted_at: frame.accepted_at,
  model,
  request_id: frame.reply?.request_id ?? null,
  picture: frame.picture ?? null,
});
