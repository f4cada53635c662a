/** The picture of a frame as it came, from where it lies in the log. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, Log, SchemaRegistry } from '../../connectors/ports.ts';
import type { Frame, FrameIn, Place } from '../../schemas/records.ts';
import { describeTopic, isPlainValue } from '../../schemas/topics.ts';

export interface PictureAtOptions {
  readonly log: Pick<Log, 'read'>;
  readonly registry: Pick<SchemaRegistry, 'decode'>;
  /** Where claim-checked pictures lie. */
  readonly claims: Pick<BlobStore, 'get'>;
}

export interface Wanted {
  readonly frame_id: string;
  readonly tenant: string;
  /** Bytes of the picture, as the store or the prediction tells. */
  readonly size: number;
  readonly place: Place;
}

/** Null when it has expired there. Throws log_unavailable, registry_unavailable, blobs_unavailable. */
export type PictureAt = (wanted: Wanted) => Promise<Buffer | null>;

export function pictureAt({ log, registry, claims }: PictureAtOptions): PictureAt {
  /** A topic that was made anew has other frames at the same places, perhaps of another tenant. */
  async function ofFrame({ id, tenant, image, claim }: Frame, wanted: Wanted): Promise<Buffer | null> {
    if (id !== wanted.frame_id || tenant !== wanted.tenant) return null;
    return image ?? (claim === null ? null : claims.get(claim));
  }

  /** What lies there as it came bears no name; of another size it is another picture. */
  const ofSize = (image: Buffer, { size }: Wanted): Buffer | null => (image.length === size ? image : null);

  return async (wanted) => {
    const record = await log.read(wanted.place);
    if (!record?.value || record.value.length === 0) return null;
    const description = describeTopic(record.topic);
    // Where ingest and preprocess are one step, the picture lies where its producer put it.
    if (isPlainValue(description, record.value)) return ofSize(record.value, wanted);
    try {
      const value = await registry.decode(record.topic, record.value);
      return description?.plainBytes ? ofSize((value as FrameIn).image, wanted) : await ofFrame(value as Frame, wanted);
    } catch (error) {
      if (error instanceof SaccadeError && ['blob_missing', 'undecodable_record'].includes(error.code)) return null;
      throw error;
    }
  };
}
