/** Tells of records that retention deleted before they were processed. Nobody can get them back, but nobody may learn of them by chance either. */
import type { Log, TopicPartition } from '../../connectors/ports.ts';
import { unfinished } from './lag.ts';

export interface ExpiredOptions {
  readonly log: Log;
  readonly group: string;
  readonly topic: string;
  /** `count` records of the partition are gone; the group goes on at offset `from`. */
  tell(partition: number, count: number, from: number): void;
  /** The log could not be asked. */
  cannotTell(error: unknown): void;
}

export interface Expired {
  /** Looks at partitions that have been assigned: what went while nobody read them. */
  assigned(partitions: readonly TopicPartition[]): void;
  /** The fetching expected one offset and found a later one. */
  gap(partition: number, expected: number, found: number): void;
}

export function expiredRecords({ log, group, topic, tell, cannotTell }: ExpiredOptions): Expired {
  async function lookAt(partitions: readonly TopicPartition[]): Promise<void> {
    const mine = new Set(partitions.map((p) => p.partition));
    for (const { partition, expired, from } of await unfinished(log, group, topic)) {
      if (expired > 0 && mine.has(partition)) tell(partition, expired, from);
    }
  }

  /** Retention overtook the fetching; a gap above what it deleted is of records that are nobody's (an aborted transaction). */
  async function lookInto(partition: number, expected: number, found: number): Promise<void> {
    const low = (await log.beginningOffsets(topic)).find((at) => at.partition === partition)?.offset ?? 0;
    const expired = Math.min(low, found) - expected;
    if (expired > 0) tell(partition, expired, found);
  }

  return {
    assigned: (partitions) => void lookAt(partitions).catch(cannotTell),
    gap: (partition, expected, found) => void lookInto(partition, expected, found).catch(cannotTell),
  };
}
