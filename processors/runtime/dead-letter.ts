/** A dead letter: the original bytes and headers untouched, with the reason beside them. */
import { createHash } from 'node:crypto';
import type { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, LogRecord, OutgoingRecord } from '../../connectors/ports.ts';
import { deadLetterTopic } from '../../schemas/topics.ts';

export function deadLetter(record: LogRecord, error: SaccadeError, stage: string, attempt: number, at: number): OutgoingRecord {
  return {
    topic: deadLetterTopic(record.topic),
    key: record.key,
    value: record.value,
    headers: {
      ...record.headers,
      'saccade-error-code': error.code,
      'saccade-error': error.message.slice(0, 1000),
      'saccade-stage': stage,
      'saccade-topic': record.topic,
      'saccade-partition': String(record.partition),
      'saccade-offset': String(record.offset),
      'saccade-timestamp': String(record.timestamp),
      'saccade-attempt': String(attempt),
      'saccade-failed-at': new Date(at).toISOString(),
    },
  };
}

/**
 * A batch that came compressed can hold a record larger than its topic's limit: then its bytes travel as a claim check,
 * named in the header saccade-claim. Throws blobs_unavailable.
 */
export async function letterThatFits(letter: OutgoingRecord, maxBytes: number, blobs: Pick<BlobStore, 'put'> | undefined): Promise<OutgoingRecord> {
  const { value, headers = {} } = letter;
  if (value === null || value.length <= maxBytes || !blobs) return letter;
  const name = `dead-letter-${headers['saccade-topic']}-${headers['saccade-partition']}-${headers['saccade-offset']}-${headers['saccade-timestamp']}`;
  return { ...letter, value: null, headers: { ...headers, 'saccade-claim': await blobs.put(name, value) } };
}

/** When even a dead letter is refused as too large: its reason and what its bytes were, so that it can be recognised at its source. */
export function withoutValue(letter: OutgoingRecord): OutgoingRecord {
  const value = letter.value ?? Buffer.alloc(0);
  const digest = createHash('sha256').update(value).digest('hex');
  return { ...letter, value: null, headers: { ...letter.headers, 'saccade-bytes': String(value.length), 'saccade-sha256': digest } };
}
