/** Reads a known part of the log from beginning to end, once, without leaving a trace in it. */
import { randomUUID } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import type { LogConsumer, LogRecord, TopicPartition } from '../../connectors/ports.ts';
import type { Span, World } from './world.ts';

/** Records that were fetched and not yet looked at rest below this, give or take a fetch: a letter may be of 8 MB. */
const maxWaitingBytes = 16 * 1024 * 1024;
const fetchBytes = 16 * 1024 * 1024;
/** Nothing came for this long: perhaps retention took what was left. */
const idleMs = 10_000;
const idleTimes = 3;

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

/** What it takes to read a known part of the log. */
export type Readable = Pick<World, 'log' | 'clock'> & { readonly survey: Pick<World['survey'], 'bounds'> };

/**
 * Calls `visit` for each record of the spans, one after the other, a partition's in order; waits for what it returns.
 * What retention deletes meanwhile is left out. A group of its own that never commits: it is gone when this is over.
 * Throws log_unavailable when records stay away, and what `visit` throws.
 */
export async function readSpans({ log, survey, clock }: Readable, spans: readonly Span[], visit: (record: LogRecord) => void | Promise<void>): Promise<void> {
  const open = new Map(spans.filter(({ low, high }) => low < high).map((span) => [keyOf(span), { ...span, next: span.low }]));
  if (open.size === 0) return;
  const topics = [...new Set([...open.values()].map(({ topic }) => topic))];
  let consumer: LogConsumer | null = null;
  let waiting: LogRecord[] = [];
  let waitingBytes = 0;
  let wake = (): void => {};

  function take(source: TopicPartition, records: readonly LogRecord[]): void {
    const span = open.get(keyOf(source));
    if (span) {
      for (const record of records) {
        // A rebalance begins anew, as nothing is committed: what has been seen is not seen again.
        if (record.offset < span.next || record.offset >= span.high) continue;
        waiting.push(record);
        waitingBytes += record.value?.length ?? 0;
      }
      span.next = Math.max(span.next, (records.at(-1)?.offset ?? -1) + 1);
      if (span.next >= span.high) open.delete(keyOf(source));
    }
    if (!open.has(keyOf(source))) consumer?.pause([source]);
    else if (waitingBytes > maxWaitingBytes) consumer?.pause([...open.values()]);
    wake();
  }

  async function dropExpired(): Promise<void> {
    for (const topic of new Set([...open.values()].map((span) => span.topic))) {
      for (const now of await survey.bounds(topic)) {
        const span = open.get(keyOf(now));
        if (span && now.low >= span.high) open.delete(keyOf(now));
      }
    }
  }

  /** Resolves with the next records, or when there are no more. */
  async function more(): Promise<void> {
    for (let attempt = 1; waiting.length === 0 && open.size > 0; attempt += 1) {
      const woken = new AbortController();
      wake = () => woken.abort();
      await clock.sleep(idleMs, woken.signal);
      if (woken.signal.aborted) continue;
      await dropExpired();
      if (attempt < idleTimes || waiting.length > 0 || open.size === 0) continue;
      const [span] = open.values();
      throw new SaccadeError('log_unavailable', `${keyOf(span!)} is to be read up to offset ${span!.high}, and nothing came after ${span!.next}.`);
    }
  }

  consumer = await log.consumer({
    group: `saccade-dlq-${randomUUID()}`,
    topics,
    from: 'earliest',
    // With a single topic only the partitions that matter are fetched; a claim names the same ones in every topic.
    ...(topics.length === 1 ? { claim: [...open.values()].map(({ partition }) => partition) } : {}),
    maxBytes: fetchBytes,
    maxBytesPerPartition: fetchBytes / 4,
    handlers: { assigned() {}, records: (_generation, source, records) => take(source, records) },
  });
  try {
    for (;;) {
      await more();
      if (waiting.length === 0) return;
      const batch = waiting;
      waiting = [];
      for (const record of batch) {
        await visit(record);
        waitingBytes -= record.value?.length ?? 0;
      }
      if (waitingBytes <= maxWaitingBytes) consumer.resume([...open.values()]);
    }
  } finally {
    await consumer.close();
  }
}
