/** What is measured of a hop: how fast it takes in what lies before it, and how late a record is at a low steady rate. */
import { randomBytes } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import type { LogProducer, OutgoingRecord } from '../../connectors/ports.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { quantile } from '../quantiles.ts';
import type { DeliveryName } from './deliveries.ts';
import { type Downstream, watchDownstream } from './downstream.ts';
import { type Hop, startHop } from './hop.ts';
import { partitions, type Place } from './place.ts';

export const recordBytes = 10_000;
/** Of one request, when a topic is filled. */
const perRequest = 200;
const patienceMs = 120_000;

export interface Case {
  readonly delivery: DeliveryName;
  readonly size: number;
  /** The topic behind the hop. */
  readonly to: string;
}

const record = (topic: string, partition: number, key: string): OutgoingRecord => ({ topic, partition, key, value: randomBytes(recordBytes) });

/** A topic with `count` records, evenly over its partitions. */
export async function fill(place: Place, producer: LogProducer, count: number): Promise<string> {
  const topic = await place.topic('in');
  for (let from = 0; from < count; from += perRequest) {
    await producer.send(Array.from({ length: Math.min(perRequest, count - from) }, (_, k) => record(topic, (from + k) % partitions, String(from + k))));
  }
  return topic;
}

interface Running {
  readonly hop: Hop;
  readonly downstream: Downstream;
}

async function withHop<T>(place: Place, { delivery, size, to }: Case, from: string, start: 'earliest' | 'latest', measure: (running: Running) => Promise<T>): Promise<T> {
  const downstream = await watchDownstream(place.log, to, place.group('downstream'));
  try {
    const hop = await startHop(place, { delivery, from, to, start, size });
    try {
      return await measure({ hop, downstream });
    } finally {
      await hop.close();
    }
  } finally {
    await downstream.close();
  }
}

/** Resolves when every one of `count` records came through exactly once and the group's position is behind them; else throws. */
async function allThrough({ hop, downstream }: Running, count: number): Promise<void> {
  const late = new AbortController();
  try {
    const inTime = await Promise.race([downstream.reached(count).then(() => true), clock.sleep(patienceMs, late.signal).then(() => false), hop.failed]);
    if (!inTime) throw new SaccadeError('internal', `${downstream.seen.size} of ${count} records came through in ${patienceMs / 1000} s.`);
    await hop.settle();
    if (downstream.repeats() > 0) throw new SaccadeError('internal', `${downstream.repeats()} of ${count} records came through twice.`);
  } finally {
    late.abort();
  }
}

export interface Throughput {
  readonly perSecond: number;
  /** How often a transaction was made to wait for the marks of the one before, for each transaction. */
  readonly waits: number;
}

/** From the first record fetched to the last one visible downstream. `from` holds `count` records. */
export const throughput = (place: Place, what: Case, from: string, count: number): Promise<Throughput> =>
  withHop(place, what, from, 'earliest', async (running) => {
    await allThrough(running, count);
    const { hop, downstream } = running;
    const seconds = (Math.max(...downstream.seen.values()) - hop.startedAt()) / 1000;
    return { perSecond: count / seconds, waits: hop.counts.waits / Math.max(1, hop.counts.transactions) };
  });

/**
 * Milliseconds from the producer's call to the record downstream, at so many batches a second. A batch is offered at once and
 * to one partition; the pauses vary, or they would fall into step with the consumers' own.
 */
export const latency = (place: Place, producer: LogProducer, what: Case, from: string, { rate, seconds }: { rate: number; seconds: number }): Promise<{ p50: number; p95: number }> =>
  withHop(place, what, from, 'latest', async (running) => {
    const sentAt = new Map<string, number>();
    const sends: Promise<void>[] = [];
    const bursts = Math.max(1, Math.round(rate * seconds));
    const burstOf = (burst: number) => Array.from({ length: what.size }, (_, i) => record(from, burst % partitions, `${burst}.${i}`));
    // What is done once is not counted: connections, the producer's id.
    await producer.send(burstOf(0));
    await allThrough(running, what.size);
    for (let burst = 1; burst <= bursts; burst += 1) {
      const records = burstOf(burst);
      const now = performance.now();
      for (const { key } of records) sentAt.set(String(key), now);
      const sent = producer.send(records);
      // Awaited below; until then a failure must not end the process.
      sent.catch(() => {});
      sends.push(sent);
      await clock.sleep(((0.5 + Math.random()) * 1000) / rate);
    }
    await Promise.all(sends);
    await allThrough(running, (bursts + 1) * what.size);
    const waits = [...sentAt].map(([key, at]) => running.downstream.seen.get(key)! - at);
    return { p50: quantile(waits, 0.5), p95: quantile(waits, 0.95) };
  });
