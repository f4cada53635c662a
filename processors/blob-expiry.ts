/** Deletes payloads that no record can name any more: without this the folder of blobs only grows. */
import type { BlobStore, Clock } from '../connectors/ports.ts';
import { deadLetterTopic, type TopicSpec } from '../schemas/topics.ts';

const hourMs = 3_600_000;

export interface BlobExpiryOptions {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'expire'>;
  readonly ageMs: number;
  /** Aborting it ends the loop, after the expiry that is under way. */
  readonly signal: AbortSignal;
  readonly log: { info(details: object, message: string): void; warn(details: object, message: string): void };
}

/**
 * The longest that a claim lies in the log, in milliseconds: as a dead letter, and, replayed in its last hour, as a frame once
 * more. `topics`: as this deployment has them.
 */
export function blobAgeMs(topics: readonly TopicSpec[]): number {
  const kept = (topic: string): number => {
    const spec = topics.find(({ name }) => name === topic);
    return spec ? spec.retentionMs + (spec.segmentMs ?? 0) : 0;
  };
  return kept('frames') + kept(deadLetterTopic('frames'));
}

/** Expires at once and then every hour, until the signal aborts. A failure is logged and tried again an hour later. */
export async function expireBlobs({ clock, blobs, ageMs, signal, log }: BlobExpiryOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      const expired = await blobs.expire(ageMs);
      if (expired > 0) log.info({ expired, ageMs }, 'blobs expired');
    } catch (error) {
      log.warn({ err: error }, 'blobs could not be expired');
    }
    await clock.sleep(hourMs, signal);
  }
}
