/** A dead letter as a person and the program see it, and the record it was before. The runtime writes the headers read here. */
import type { LogRecord, OutgoingRecord } from '../../connectors/ports.ts';
import { describeTopic } from '../../schemas/topics.ts';

const suffix = '.dlq';

export const isDeadLetterTopic = (topic: string): boolean => topic.endsWith(suffix) && topic.length > suffix.length;

/**
 * Where the dead letters of a topic came from. By the name alone, not by the header saccade-topic: whoever can write into
 * one dead letter topic must not choose which other topic a replay writes to.
 */
export const homeOf = (topic: string): string => topic.slice(0, -suffix.length);

/** Where a dead letter lies. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export const idOf = ({ topic, partition, offset }: Place): string => `${topic}/${partition}@${offset}`;

export interface DeadLetter extends Place {
  readonly id: string;
  /** Milliseconds since the epoch at which it was written; with the id it tells a letter from one of a recreated topic. */
  readonly timestamp: number;
  /** The record's key, null when it had none. */
  readonly source: string | null;
  readonly stage: string;
  readonly code: string;
  readonly detail: string;
  /** How often it has been replayed before it died this time. */
  readonly replays: number;
  /** Of key and value. */
  readonly bytes: number;
}

/** Without the bytes: a listing of many thousands holds them all in memory. */
export function describeLetter(record: LogRecord): DeadLetter {
  const { topic, partition, offset, timestamp, key, value, headers } = record;
  return {
    id: idOf(record),
    topic,
    partition,
    offset,
    timestamp,
    source: key === null || key.length === 0 ? null : key.toString(),
    stage: headers['saccade-stage'] ?? 'unknown',
    code: headers['saccade-error-code'] ?? 'unknown',
    detail: headers['saccade-error'] ?? '',
    replays: replaysOf(record),
    bytes: (key?.length ?? 0) + (value?.length ?? 0),
  };
}

function replaysOf({ headers }: LogRecord): number {
  const count = Number(headers['saccade-replays'] ?? 0);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/**
 * The record as it was in its topic: key, value and headers untouched, without the reason it died of. It goes to its old
 * partition if there still is one, since its producer may have chosen another than the hash of the key would. Should it die
 * again, the count of replays stays with it.
 *
 * Its timestamp is the moment of the replay: a dead letter outlives its topic's retention, and a record as old as that
 * would be deleted before it is read.
 */
export function original(record: LogRecord, partitions: number): OutgoingRecord {
  const topic = homeOf(record.topic);
  const kept = Object.entries(record.headers).filter(([name]) => !name.startsWith('saccade-'));
  const partition = Number(record.headers['saccade-partition'] ?? Number.NaN);
  return {
    topic,
    key: record.key,
    value: record.value,
    headers: { ...Object.fromEntries(kept), ...identity(record, topic), 'saccade-replays': String(replaysOf(record) + 1) },
    ...(Number.isInteger(partition) && partition >= 0 && partition < partitions ? { partition } : {}),
  };
}

/**
 * A plain image without headers of its own is identified by its place in the log and dated by its record, both of which a
 * replay changes. The date is handed on as the header `captured_at`. The identity cannot be handed on: ingest would have to
 * believe a header, and any producer could then overwrite any frame. What it gets instead is an id like a producer's own,
 * made of the place it first had, so that all its replays, by whomever and however often, are one and the same frame.
 */
function identity({ value, headers, partition, offset, timestamp }: LogRecord, home: string): Record<string, string> {
  const plain = describeTopic(home)?.plainBytes === true && value?.[0] !== 0;
  if (!plain) return {};
  const at = headers['saccade-timestamp'] ?? String(timestamp);
  const place = `${home}/${headers['saccade-partition'] ?? partition}@${headers['saccade-offset'] ?? offset}`;
  return {
    ...(headers.id ? {} : { id: `replay of ${place} of ${at}` }),
    ...(headers.captured_at ? {} : { captured_at: at }),
  };
}
