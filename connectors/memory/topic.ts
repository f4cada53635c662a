/** The records of one in-process topic, bounded in bytes. */
import type { LogRecord, OutgoingRecord } from '../ports.ts';
import type { TopicSpec } from '../../schemas/topics.ts';
import { SaccadeError } from '../errors.ts';
import { partitionOfKey } from './murmur2.ts';

/** What a record costs beside its bytes: objects, strings, headers. An estimate. */
const recordOverheadBytes = 256;
/** As the Kafka log allows on top of `maxRecordBytes`. */
const headerAllowance = 64 * 1024;

interface Partition {
  /** Offset of the first record still held. */
  low: number;
  records: LogRecord[];
}

export interface MemoryTopic {
  readonly spec: TopicSpec;
  bytes(): number;
  low(partition: number): number;
  high(partition: number): number;
  /** Offset of the first record that is not older; the next one to be written where there is none. */
  firstSince(partition: number, timestamp: number): number;
  /** Throws payload_too_large. */
  check(record: OutgoingRecord): void;
  append(record: OutgoingRecord, now: number): void;
  /** Records from `offset` on, at least one if there is one, then as many as fit in `maxBytes`. */
  read(partition: number, offset: number, maxBytes: number): LogRecord[];
  /** Drops the oldest records below `consumed(partition)` until at most `bytes` are held. */
  trim(bytes: number, consumed: (partition: number) => number): void;
}

const lengthOf = (value: string | Buffer | null): number => (value === null ? 0 : Buffer.byteLength(value));
const headerBytes = (record: OutgoingRecord): number =>
  Object.entries(record.headers ?? {}).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
export const recordBytes = (record: OutgoingRecord): number =>
  lengthOf(record.key) + lengthOf(record.value) + headerBytes(record) + recordOverheadBytes;

export function memoryTopic(spec: TopicSpec): MemoryTopic {
  const partitions: Partition[] = Array.from({ length: spec.partitions }, () => ({ low: 0, records: [] }));
  let held = 0;
  let turn = 0;

  function partition(number: number): Partition {
    const found = partitions[number];
    if (found === undefined) throw new SaccadeError('log_unavailable', `${spec.name} has no partition ${number}`);
    return found;
  }

  function choose({ key, partition: explicit }: OutgoingRecord): number {
    if (explicit !== undefined) return explicit;
    if (key === null) return turn++ % spec.partitions;
    return partitionOfKey(typeof key === 'string' ? Buffer.from(key) : key, spec.partitions);
  }

  const high = (number: number): number => partition(number).low + partition(number).records.length;

  return {
    spec,
    high,
    bytes: () => held,
    low: (number) => partition(number).low,
    firstSince(number, timestamp) {
      const { low, records } = partition(number);
      const index = records.findIndex((record) => record.timestamp >= timestamp);
      return low + (index < 0 ? records.length : index);
    },
    check(record) {
      const size = lengthOf(record.key) + lengthOf(record.value);
      if (size > spec.maxRecordBytes || headerBytes(record) > headerAllowance) {
        throw new SaccadeError('payload_too_large', `${size} bytes are too many for a record of ${spec.name}.`);
      }
      if (record.partition !== undefined) partition(record.partition);
    },
    append(record, now) {
      const number = choose(record);
      const { key } = record;
      partition(number).records.push({
        topic: spec.name,
        partition: number,
        offset: high(number),
        timestamp: record.timestamp ?? now,
        key: typeof key === 'string' ? Buffer.from(key) : key,
        value: record.value,
        headers: { ...record.headers },
      });
      held += recordBytes(record);
    },
    read(number, offset, maxBytes) {
      const { low, records } = partition(number);
      const taken: LogRecord[] = [];
      let bytes = 0;
      for (let i = Math.max(0, offset - low); i < records.length; i += 1) {
        const record = records[i]!;
        bytes += recordBytes(record);
        if (taken.length > 0 && bytes > maxBytes) break;
        taken.push(record);
      }
      return taken;
    },
    trim(bytes, consumed) {
      for (const [number, at] of partitions.entries()) {
        const limit = Math.min(consumed(number) - at.low, at.records.length);
        let count = 0;
        while (held > bytes && count < limit) {
          held -= recordBytes(at.records[count]!);
          count += 1;
        }
        at.records.splice(0, count);
        at.low += count;
      }
    },
  };
}
