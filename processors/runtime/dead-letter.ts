/** A dead letter: the original bytes and headers untouched, with the reason beside them. */
import type { SaccadeError } from '../../connectors/errors.ts';
import type { LogRecord, OutgoingRecord } from '../../connectors/ports.ts';
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
