/** Takes the rows of pictures that had to make room out of the store, so that kept_frames lists none that is gone. */
import type { Store } from '../../connectors/ports.ts';

/** Names that one statement holds. */
const atOnce = 1_000;

/**
 * Of those kept before `before`, in milliseconds since the epoch: a frame may have been kept again meanwhile. Names of blobs hold nothing
 * to escape (connectors/blobs/names.ts). Throws what the store throws.
 */
export type Forget = (blobs: readonly string[], before: number) => Promise<void>;

export const forgetPictures = (store: Pick<Store, 'command'>): Forget => async (blobs, before) => {
  for (let from = 0; from < blobs.length; from += atOnce)
    await store.command(`DELETE FROM kept_frames_raw WHERE kept_at < fromUnixTimestamp64Milli({before:Int64}, 'UTC') AND blob IN (${blobs.slice(from, from + atOnce).map((name) => `'${name}'`).join(', ')})`, { before });
};
