/**
 * A table in the log: the latest value of each key of a compacted topic, followed by every process that needs it. Few small
 * records (who may do what, which version serves), one partition, read whole at each start.
 */
import { randomUUID } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock, Log, LogProducer, LogRecord } from '../../connectors/ports.ts';

export interface ControlTable {
  get(key: string): Buffer | null;
  /** In the order in which they were written last, which is the same for all who follow it. */
  entries(): ReadonlyMap<string, Buffer>;
  /** Writes a value, or null to remove the key; resolves when it is acknowledged, before this process itself has read it. */
  put(key: string, value: Buffer | null): Promise<void>;
  /** Resolves once all that was acknowledged before the call, by whichever process, has been read. Throws log_unavailable. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

export interface ControlTableOptions {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly clock: Clock;
  /** Compacted, of one partition (topics.json: "compacted": true). */
  readonly topic: string;
  /** Told of each value as it is read, also of those that lay there at the start; null for a key that is removed. */
  changed?(key: string, value: Buffer | null): void;
  /** Names this reader among all there ever were; a random name unless given. */
  readonly reader?: string;
  /** How long a reading to the end may take. */
  readonly patienceMs?: number;
}

/** Begins the names of the groups by which a table is followed: each process has one. */
export const tableGroups = (topic: string): string => `saccade.table.${topic}.`;

const probePrefix = 'probe/';
const probeHeader = 'probe';
const probeEveryMs = 1_000;

/**
 * Resolves once all that was acknowledged before the call has been read. Throws log_unavailable when that takes longer than
 * `patienceMs` (30 s unless given).
 *
 * What tells that the end is reached is a record of our own coming back (without a value: compaction removes it), since the
 * end offset of a compacted topic need not belong to a record that still exists.
 */
export async function followTable(options: ControlTableOptions): Promise<ControlTable> {
  const { log, producer, clock, topic, changed, reader = randomUUID(), patienceMs = 30_000 } = options;
  const values = new Map<string, Buffer>();
  /** One key for all of them, so that compaction leaves one record; the number tells them apart. */
  const probeKey = `${probePrefix}${reader}`;
  /** Records of our own that are awaited, by number. */
  const probes = new Map<number, AbortController>();
  let probed = 0;
  /** A rejoin reads from the beginning again; a value that has been replaced since must not come back, even for a moment. */
  let next = 0;
  /** What lies below `next` and was read since the last rejoin: the same again, unless the topic has begun anew. */
  let again: LogRecord[] = [];

  function take(record: LogRecord): void {
    const { key, value, offset } = record;
    if (offset < next) {
      again.push(record);
      if (again.length === 1) void notice();
      return;
    }
    again = [];
    next = offset + 1;
    if (key === null) return;
    const name = key.toString();
    if (name === probeKey) return arrivedProbe(Number(record.headers[probeHeader]));
    if (name.startsWith(probePrefix)) return;
    // Also one that is replaced: last again in the order of the map.
    values.delete(name);
    if (value !== null) values.set(name, value);
    changed?.(name, value);
  }

  /** One that comes back was sent after every call with a lower number: those have read far enough too. */
  function arrivedProbe(number: number): void {
    for (const [own, arrived] of probes) if (own <= number) arrived.abort();
  }

  /** A topic that was deleted and created anew begins at 0 again: all of it would pass for old, for ever. */
  async function notice(): Promise<void> {
    const known = next;
    // Away, or the topic is not there again yet: the next rejoin or probe asks once more.
    const [end] = await log.endOffsets(topic).catch(() => []);
    if (end === undefined || end.offset >= known || next !== known) return;
    const renewed = again;
    next = 0;
    for (const name of values.keys()) {
      values.delete(name);
      changed?.(name, null);
    }
    renewed.forEach(take);
  }

  const consumer = await log.consumer({
    group: `${tableGroups(topic)}${reader}`,
    topics: [topic],
    from: 'earliest',
    claim: [0],
    maxBytes: 4 * 1024 * 1024,
    maxBytesPerPartition: 4 * 1024 * 1024,
    handlers: {
      assigned() {
        again = [];
        void notice();
      },
      records: (_generation, _source, records) => records.forEach(take),
    },
  });

  async function caughtUp(): Promise<void> {
    const probe = probed++;
    const arrived = new AbortController();
    probes.set(probe, arrived);
    const until = clock.now() + patienceMs;
    try {
      while (!arrived.signal.aborted) {
        if (clock.now() > until) throw new SaccadeError('log_unavailable', `${topic} could not be read to its end within ${patienceMs / 1000} s.`);
        // One that is lost (the broker restarts) is followed by another.
        await producer.send([{ topic, key: probeKey, value: null, headers: { [probeHeader]: String(probe) }, partition: 0 }]).catch(() => {});
        await clock.sleep(probeEveryMs, arrived.signal);
        if (!arrived.signal.aborted) await notice();
      }
    } finally {
      probes.delete(probe);
    }
  }

  try {
    await caughtUp();
  } catch (error) {
    await consumer.close();
    throw error;
  }

  return {
    get: (key) => values.get(key) ?? null,
    entries: () => values,
    put: (key, value) => producer.send([{ topic, key, value, partition: 0 }]),
    caughtUp,
    close: () => consumer.close(),
  };
}
