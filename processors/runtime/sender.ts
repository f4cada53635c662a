/**
 * Sends what is complete, one request at a time, and lets more gather meanwhile: under load the requests grow instead of
 * multiplying. Order within a partition holds because nothing later is taken before the earlier is acknowledged.
 */
import type { Clock, LogProducer } from '../../connectors/ports.ts';
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
  trouble(): string | null;
}

export function sender(options: {
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly random: (() => number) | undefined;
  readonly log: Logger;
  queues(): Iterable<PartitionQueue>;
  acknowledged(entries: readonly Entry[], seconds: number): void;
  readonly signal: AbortSignal;
}): Sender {
  const { producer, clock, log, signal } = options;
  let sending: Promise<void> | null = null;
  let fault: string | null = null;

  async function run(): Promise<void> {
    for (;;) {
      // One tick for what completes together to leave together.
      await Promise.resolve();
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
    const records = entries.flatMap((entry) => entry.outputs);
    if (records.length === 0) return true;
    const waits = backoff(200, 15_000, options.random);
    for (;;) {
      try {
        await producer.send(records);
        fault = null;
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        fault = error instanceof Error ? error.message : String(error);
        const wait = waits.next();
        log.warn({ error: fault, retryInMs: Math.round(wait), records: records.length }, 'the log does not take the outputs');
        await clock.sleep(wait, signal);
        if (signal.aborted) return false;
      }
    }
  }

  function wake(): void {
    sending ??= run().finally(() => {
      sending = null;
      // What completed between the last look and here.
      for (const queue of options.queues()) if (queue.hasComplete()) return wake();
    });
  }

  return {
    wake,
    async idle() {
      while (sending) await sending;
    },
    trouble: () => fault,
  };
}
