/** Sources of a set pace, and what comes back of each. */
import { randomUUID } from 'node:crypto';
import sharp from 'sharp';
import { partitionOfKey } from '../../connectors/memory/murmur2.ts';
import type { LogRecord } from '../../connectors/ports.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import type { Prediction } from '../../schemas/records.ts';
import type { Fleet } from './fleet.ts';

export interface Source {
  readonly sent: number;
  /** Acknowledged by the log. */
  readonly acknowledged: number;
  /** Sends no more; resolves when all acknowledgements are in. */
  stop(): Promise<void>;
}

export interface Answer {
  readonly sequence: number;
  readonly status: string;
  /** From the producer's call to the record on `predictions` here. */
  readonly latencyMs: number;
  readonly at: number;
}

const tickMs = 50;

/** A few kilobytes: the bench is about waiting, not about decoding. */
export const smallPicture = (): Promise<Buffer> => sharp('media/coffee.jpg').resize(160, 120).jpeg({ quality: 70 }).toBuffer();

export const partitionOf = (source: string, partitions: number): number => partitionOfKey(Buffer.from(source), partitions);

/** A name that falls on the partition, or on another than it. */
export function sourceNamed(prefix: string, fits: (name: string) => boolean): string {
  for (let i = 0; ; i += 1) if (fits(`${prefix}-${i}`)) return `${prefix}-${i}`;
}

export function startSource({ producer }: Fleet, { name, rate, picture, lifeMs }: { name: string; rate: number; picture: Buffer; lifeMs?: number }): Source {
  const stopping = new AbortController();
  let [sent, acknowledged] = [0, 0];
  const underWay = new Set<Promise<void>>();

  async function send(count: number): Promise<void> {
    const now = clock.now();
    const records = Array.from({ length: count }, () => ({
      topic: 'frames.in',
      key: name,
      value: picture,
      headers: { id: `${sent}`, sequence: `${sent++}`, captured_at: `${now}`, ...(lifeMs === undefined ? {} : { deadline: `${now + lifeMs}` }) },
    }));
    await producer.send(records);
    acknowledged += count;
  }

  const running = (async () => {
    const startedAt = clock.now();
    while (!stopping.signal.aborted) {
      // By the clock, not by the pause: a send that takes long must not thin the load.
      const due = Math.floor(((clock.now() - startedAt) * rate) / 1000) + 1 - sent;
      if (due > 0) {
        const one = send(due).catch(() => {}).finally(() => underWay.delete(one));
        underWay.add(one);
      }
      await clock.sleep(rate < 1000 / tickMs ? 1000 / rate : tickMs, stopping.signal);
    }
    await Promise.all(underWay);
  })();

  return {
    get sent() {
      return sent;
    },
    get acknowledged() {
      return acknowledged;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Answers by source, in the order in which they came. */
export async function watchAnswers({ log, registry }: Fleet): Promise<{ of(source: string): readonly Answer[]; close(): Promise<void> }> {
  const bySource = new Map<string, Answer[]>();
  /** A rejoin may read again what has been read: an offset counts once. */
  const next = new Map<number, number>();
  let last: Promise<void> = Promise.resolve();

  async function take(record: LogRecord, at: number): Promise<void> {
    if (record.value === null) return;
    const { source, sequence, status, captured_at } = (await registry.decode('predictions', record.value)) as Prediction;
    const answers = bySource.get(source) ?? [];
    bySource.set(source, answers);
    answers.push({ sequence: sequence ?? -1, status, latencyMs: at - captured_at, at });
  }

  const consumer = await log.consumer({
    group: `saccade.bench.${randomUUID()}`,
    topics: ['predictions'],
    from: 'earliest',
    claim: Array.from({ length: await log.partitions('predictions') }, (_, partition) => partition),
    maxBytes: 8 * 1024 * 1024,
    maxBytesPerPartition: 1024 * 1024,
    handlers: {
      assigned() {},
      records(_generation, _source, records) {
        const at = clock.now();
        for (const record of records) {
          if (record.offset < (next.get(record.partition) ?? 0)) continue;
          next.set(record.partition, record.offset + 1);
          last = last.then(() => take(record, at));
        }
      },
    },
  });
  return { of: (source) => bySource.get(source) ?? [], close: async () => (await consumer.close(), last) };
}
