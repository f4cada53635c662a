/**
 * Sends what is complete, one request at a time, and lets more gather meanwhile: under load the requests grow instead of
 * multiplying. Order within a partition holds because nothing later is taken before the earlier is acknowledged.
 */
import { asSaccadeError, type SaccadeError } from '../../connectors/errors.ts';
import type { Clock, LogProducer, OutgoingRecord } from '../../connectors/ports.ts';
import { backoff } from './backoff.ts';
import type { Logger } from './logger.ts';
import type { Entry, PartitionQueue } from './partition-queue.ts';

/** Bytes of one request to the log, over all partitions. */
const requestBytes = 16 * 1024 * 1024;

export interface Sender {
  /** Something became complete. */
  wake(): void;
  /** Resolves when nothing complete is left unsent. */
  idle(): Promise<void>;
  /** Whether something is on its way, whose acknowledgement will free memory. */
  readonly busy: boolean;
  trouble(): string | null;
}

export function sender(options: {
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly random: (() => number) | undefined;
  readonly log: Logger;
  queues(): Iterable<PartitionQueue>;
  acknowledged(entries: readonly Entry[], seconds: number): void;
  /** False while what leaves could not be committed any more: the next owner of its partition would send it again. */
  may(): boolean;
  /** The log does not take them, and it is tried again: a sign of life. */
  waits(): void;
  /** Nothing complete is left to send. */
  rested(): void;
  /** What to send instead of an output that the log refuses for good (too large); null when nothing smaller can be said. */
  replacement(entry: Entry, output: OutgoingRecord, error: SaccadeError): OutgoingRecord | null;
  readonly signal: AbortSignal;
}): Sender {
  const { producer, clock, log, signal } = options;
  let sending: Promise<void> | null = null;
  let fault: string | null = null;

  async function run(): Promise<void> {
    for (;;) {
      // One tick for what completes together to leave together.
      await Promise.resolve();
      if (!options.may()) return;
      const taken: { queue: PartitionQueue; entries: Entry[] }[] = [];
      let left = requestBytes;
      for (const queue of options.queues()) {
        const entries = queue.takeComplete(Math.max(1, left));
        if (entries.length === 0) continue;
        taken.push({ queue, entries });
        for (const entry of entries) for (const output of entry.outputs) left -= output.value?.length ?? 0;
        if (left <= 0) break;
      }
      if (taken.length === 0) return;
      const entries = taken.flatMap((t) => t.entries);
      const startedAt = clock.now();
      if (!(await deliver(entries))) return;
      for (const { queue } of taken) queue.sent();
      options.acknowledged(entries, (clock.now() - startedAt) / 1000);
    }
  }

  /** False when the wait was cut short by the end of the runner: nothing was acknowledged then. */
  async function deliver(entries: readonly Entry[]): Promise<boolean> {
    const refusal = await insist(entries.flatMap((entry) => entry.outputs));
    if (refusal === null) return !signal.aborted;
    // One record that no retry will make smaller must not hold up its neighbours: one by one finds it.
    for (const entry of entries) {
      for (const output of entry.outputs) if (!(await deliverOne(entry, output))) return false;
    }
    return true;
  }

  async function deliverOne(entry: Entry, output: OutgoingRecord): Promise<boolean> {
    for (let next: OutgoingRecord | null = output; next !== null; ) {
      const refusal: SaccadeError | null = await insist([next]);
      if (refusal === null) return !signal.aborted;
      log.error({ error: refusal.message, topic: next.topic }, 'the log refuses an output');
      next = options.replacement(entry, next, refusal);
    }
    return true;
  }

  /** Sends until it is acknowledged (null), refused for good (the refusal), or the runner ends (null, with the signal aborted). */
  async function insist(records: readonly OutgoingRecord[]): Promise<SaccadeError | null> {
    if (records.length === 0) return null;
    const waits = backoff(200, 15_000, options.random);
    for (;;) {
      try {
        await producer.send(records);
        fault = null;
        return null;
      } catch (thrown) {
        const error = asSaccadeError(thrown, 'log_unavailable');
        if (signal.aborted) return null;
        if (error.code === 'payload_too_large') return error;
        fault = error.message;
        options.waits();
        const wait = waits.next();
        log.warn({ error: fault, retryInMs: Math.round(wait), records: records.length }, 'the log does not take the outputs');
        await clock.sleep(wait, signal);
        if (signal.aborted) return null;
      }
    }
  }

  function wake(): void {
    sending ??= run().finally(() => {
      sending = null;
      // What completed between the last look and here.
      if (options.may()) for (const queue of options.queues()) if (queue.hasComplete()) return wake();
      options.rested();
    });
  }

  return {
    wake,
    async idle() {
      while (sending) await sending;
    },
    get busy() {
      return sending !== null;
    },
    trouble: () => fault,
  };
}
