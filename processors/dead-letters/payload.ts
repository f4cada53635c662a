/** The bytes of a dead letter, wherever they are. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, LogRecord } from '../../connectors/ports.ts';
import { homeOf } from './letter.ts';

/**
 * The record with its value. What was too large for a dead letter lies in the blob store under a name made of its place;
 * a claim by any other name is not the runtime's but a producer's, who would so have another's picture fetched for them.
 * Throws payload_too_large for what was too large even for that, blob_missing, blobs_unavailable.
 */
export async function withPayload(record: LogRecord, blobs: BlobStore): Promise<LogRecord> {
  const { headers, topic } = record;
  if (record.value !== null) return record;
  const own = `dead-letter-${homeOf(topic)}-${headers['saccade-partition']}-${headers['saccade-offset']}-${headers['saccade-timestamp']}`;
  const claim = headers['saccade-claim'];
  if (claim === own) return { ...record, value: await blobs.get(claim) };
  const digest = headers['saccade-sha256'];
  if (digest !== undefined) {
    const size = headers['saccade-bytes'] ?? 'unknown';
    throw new SaccadeError('payload_too_large', `Its ${size} bytes fitted no dead letter: only its source still has them (SHA-256 ${digest}).`);
  }
  return record;
}
