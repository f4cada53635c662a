/** Keeps a frame: from where it lies in the log, masked, into the store of kept pictures. */
import { asSaccadeError, type SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { KeptFrame } from '../../schemas/records.ts';
import type { Chosen, Reason } from './choose.ts';
import type { KeptPictures } from './kept-pictures.ts';
import type { PictureAt } from './picture-at.ts';

export interface KeepMetrics {
  /** `gone`: it lay in the log no more or never, or cannot be decoded. `failed`: what it takes was away. */
  frame(reason: Reason, outcome: 'kept' | 'gone' | 'failed', bytes: number): void;
}

export interface KeeperOptions {
  readonly pictureAt: PictureAt;
  readonly pictures: Pick<KeptPictures, 'put'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly metrics: KeepMetrics;
}

/** What is told of a frame that is kept now; null when there is nothing to keep; the error when the environment keeps it from being kept. Never rejects. */
export type Keep = (frame: Chosen) => Promise<KeptFrame | SaccadeError | null>;

export function keeper({ pictureAt, pictures, clock, metrics }: KeeperOptions): Keep {
  return async ({ reason, place, size, ...frame }) => {
    try {
      const picture = place && (await pictureAt({ ...frame, size, place }));
      if (!picture) {
        metrics.frame(reason, 'gone', 0);
        return null;
      }
      const stored = await pictures.put(frame.tenant, frame.frame_id, picture);
      metrics.frame(reason, 'kept', stored.size);
      return { ...frame, ...stored, reason, kept_at: clock.now() };
    } catch (thrown) {
      const error = asSaccadeError(thrown);
      metrics.frame(reason, error.retryable ? 'failed' : 'gone', 0);
      return error.retryable ? error : null;
    }
  };
}
