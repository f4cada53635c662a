/** The audit trail as the topic has it. */
import { randomUUID } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import type { LogRecord } from '../../connectors/ports.ts';
import type { ChainedEntry } from '../../schemas/audit.ts';
import { auditTopic } from '../../schemas/topics.ts';
import { openRunningLog, type RunningLog } from '../connect.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Settings } from '../settings.ts';
import type { ReadTopic } from './verify.ts';

const patienceMs = 30_000;

/** Null: there is no log that can be asked. */
export function topicReader(s: Settings): { readonly read: ReadTopic; close(): Promise<void> } | null {
  let running: RunningLog;
  try {
    running = openRunningLog(s, 'saccade-audit', 'compare with', 'compare with it');
  } catch (error) {
    if (error instanceof SaccadeError && error.code === 'log_unavailable') return null;
    throw error;
  }
  return { read: (visit) => readAudit(running, visit), close: () => running.close() };
}

/** All of partition 0 up to its end of now. Throws log_unavailable. */
export async function readAudit({ log }: Pick<RunningLog, 'log'>, visit: (entry: ChainedEntry) => void): Promise<void> {
  const at0 = ({ partition }: { partition: number }): boolean => partition === 0;
  const low = (await log.beginningOffsets(auditTopic)).find(at0)!.offset;
  const end = (await log.endOffsets(auditTopic)).find(at0)!.offset;
  if (low >= end) return;
  let next = low;
  let moved = new AbortController();
  const take = (records: readonly LogRecord[]): void => {
    for (const { offset, key, value, headers } of records) {
      // A rejoin reads from the beginning again.
      if (offset < next || offset >= end) continue;
      next = offset + 1;
      if (key && value) visit({ number: Number(key.toString()), entry: value.toString(), hash: Buffer.from(headers.hash ?? '', 'hex') });
    }
    moved.abort();
  };
  const consumer = await log.consumer({
    group: `saccade-audit-${randomUUID()}`,
    topics: [auditTopic],
    from: 'earliest',
    claim: [0],
    maxBytes: 8 * 1024 * 1024,
    maxBytesPerPartition: 8 * 1024 * 1024,
    handlers: { assigned() {}, records: (_generation, _source, records) => take(records), fetched: (_generation, _source, to) => void (next = Math.max(next, Math.min(to, end))) },
  });
  try {
    while (next < end) {
      moved = new AbortController();
      await systemClock.sleep(patienceMs, moved.signal);
      if (!moved.signal.aborted && next < end) throw new SaccadeError('log_unavailable', `${auditTopic}-0 is to be read up to offset ${end}, and nothing came after ${next}.`);
    }
  } finally {
    await consumer.close();
  }
}
