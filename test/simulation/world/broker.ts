/** The log itself, which outlives every process: topics with partitions, and what is appended to them. */
import { partitionOfKey } from '../../../connectors/memory/murmur2.ts';
import type { LogRecord, OutgoingRecord, TopicPartition } from '../../../connectors/ports.ts';
import { epoch } from '../process/life.ts';
import type { Scheduler } from './scheduler.ts';

export interface Broker {
  partitions(topic: string): number;
  end(at: TopicPartition): number;
  partitionOf(record: OutgoingRecord): number;
  append(record: OutgoingRecord): LogRecord;
  /** At least one record, if there is one, then as many as fit. */
  read(at: TopicPartition, offset: number, maxBytes: number): LogRecord[];
  range(at: TopicPartition, from: number, to: number): readonly LogRecord[];
  all(topic: string): readonly LogRecord[];
  onAppend(told: (record: LogRecord) => void): void;
}

export function createBroker(topics: readonly string[], partitions: number, time: Scheduler): Broker {
  const logs = new Map(topics.map((topic) => [topic, Array.from({ length: partitions }, (): LogRecord[] => [])]));
  const listeners: ((record: LogRecord) => void)[] = [];
  let turn = 0;

  const logOf = ({ topic, partition }: TopicPartition): LogRecord[] => logs.get(topic)![partition]!;

  function partitionOf({ key, partition }: OutgoingRecord): number {
    if (partition !== undefined) return partition;
    if (key === null) return turn++ % partitions;
    return partitionOfKey(typeof key === 'string' ? Buffer.from(key) : key, partitions);
  }

  return {
    partitions: (topic) => logs.get(topic)!.length,
    end: (at) => logOf(at).length,
    partitionOf,
    append(outgoing) {
      const { topic, key, value, headers = {} } = outgoing;
      const partition = partitionOf(outgoing);
      const log = logOf({ topic, partition });
      const record: LogRecord = {
        topic,
        partition,
        offset: log.length,
        timestamp: Math.floor(epoch + time.now),
        key: typeof key === 'string' ? Buffer.from(key) : key,
        value,
        headers,
      };
      log.push(record);
      for (const told of listeners) told(record);
      return record;
    },
    read(at, offset, maxBytes) {
      const taken: LogRecord[] = [];
      let bytes = 0;
      for (const record of logOf(at).slice(offset, offset + 500)) {
        bytes += record.value?.length ?? 0;
        if (taken.length > 0 && bytes > maxBytes) break;
        taken.push(record);
      }
      return taken;
    },
    range: (at, from, to) => logOf(at).slice(from, Math.max(from, to)),
    all: (topic) => logs.get(topic)!.flat(),
    onAppend: (told) => void listeners.push(told),
  };
}
