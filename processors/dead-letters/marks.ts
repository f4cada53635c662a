/**
 * Which dead letters have been handled, kept in the log itself: one small record for each, in the topic dlq.handled.
 *
 * Committed offsets would not do: letters are handled out of order, by reason or by id, and a commit says all or nothing up
 * to a place. A file would be one person's. Marks only ever add up, so any number of people can write them at once without
 * a lock, and what two have replayed at the same moment is told apart by no one: the record's id is the same. The topic is
 * an ordinary one, not compacted, whose retention is longer than that of any dead letter a mark may speak of.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { LogRecord, OutgoingRecord } from '../../connectors/ports.ts';
import { handledTopic } from '../../schemas/topics.ts';
import type { DeadLetter } from './letter.ts';

export const actions = ['replayed', 'discarded'] as const;
export type Action = (typeof actions)[number];

export interface Mark {
  readonly id: string;
  readonly timestamp: number;
  readonly action: Action;
  /** ISO 8601. */
  readonly at: string;
}

export function markRecord({ id, timestamp }: Pick<DeadLetter, 'id' | 'timestamp'>, action: Action, at: number): OutgoingRecord {
  const mark: Mark = { id, timestamp, action, at: new Date(at).toISOString() };
  return { topic: handledTopic, key: id, value: Buffer.from(JSON.stringify(mark)) };
}

/** Null for what is no mark: one stray record in the topic must not take the program away from everybody. */
function readMark({ value }: LogRecord): Mark | null {
  try {
    const mark = JSON.parse(value?.toString() ?? '') as Mark;
    const whole = typeof mark.id === 'string' && Number.isFinite(mark.timestamp) && actions.includes(mark.action) && typeof mark.at === 'string';
    return whole ? mark : null;
  } catch {
    return null;
  }
}

export interface Marks {
  add(record: LogRecord): void;
  /** The first mark of a letter, or null. */
  of(letter: Pick<DeadLetter, 'id' | 'timestamp'>): Mark | null;
}

export function createMarks(): Marks {
  const marks = new Map<string, Mark>();
  const keyOf = ({ id, timestamp }: Pick<DeadLetter, 'id' | 'timestamp'>): string => `${id} ${timestamp}`;
  return {
    add(record) {
      if (record.topic !== handledTopic) throw new SaccadeError('internal', `${record.topic} holds no marks.`);
      const mark = readMark(record);
      if (mark && !marks.has(keyOf(mark))) marks.set(keyOf(mark), mark);
    },
    of: (letter) => marks.get(keyOf(letter)) ?? null,
  };
}
