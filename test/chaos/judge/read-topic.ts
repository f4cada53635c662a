/** Reads a topic from its beginning to where it ends at the time of the call. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log, LogRecord } from '../../../connectors/ports.ts';

/** Resolves when `each` has had every record. Throws log_unavailable. */
export async function readTopic(log: Log, topic: string, each: (record: LogRecord) => Promise<void> | void): Promise<void> {
  const open = new Map((await log.endOffsets(topic)).filter(({ offset }) => offset > 0).map(({ partition, offset }) => [partition, offset]));
  let failed: Error | null = null;
  let working: Promise<void> = Promise.resolve();
  if (open.size === 0) return;
  const consumer = await log.consumer({
    group: `chaos.read.${randomUUID()}`,
    topics: [topic],
    from: 'earliest',
    maxBytes: 32 * 1024 * 1024,
    maxBytesPerPartition: 8 * 1024 * 1024,
    handlers: {
      assigned() {},
      records(_generation, { partition }, records) {
        working = working.then(async () => {
          for (const record of records) await each(record);
          const last = records.at(-1);
          if (last && last.offset + 1 >= (open.get(partition) ?? 0)) open.delete(partition);
        });
      },
      failed: (error) => void (failed = error),
    },
  });
  try {
    for (let quiet = 0; open.size > 0; quiet++) {
      await sleep(50);
      if (quiet > 2_400) throw failed ?? new Error(`${topic} could not be read to its end`);
    }
    await working;
  } finally {
    await consumer.close();
  }
}
