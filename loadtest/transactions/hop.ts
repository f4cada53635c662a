/** One hop: records of a topic in batches to another topic, delivered in one way or the other. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { LogConsumer, LogRecord } from '../../connectors/ports.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { deliveries, type Delivery, type DeliveryName } from './deliveries.ts';
import type { Place } from './place.ts';

export interface HopOptions {
  readonly delivery: DeliveryName;
  readonly from: string;
  readonly to: string;
  readonly start: 'earliest' | 'latest';
  /** The most records of a batch; one that is not full waits for nobody. */
  readonly size: number;
}

export interface Hop {
  readonly group: string;
  readonly counts: Delivery['counts'];
  /** When the first record came, by performance.now(). */
  startedAt(): number;
  /** Rejects when a batch cannot be delivered; stays pending otherwise. */
  readonly failed: Promise<never>;
  /** Resolves when the group's position is behind every record there is; throws internal when it does not come to be. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export async function startHop(place: Place, { delivery: kind, from, to, start, size }: HopOptions): Promise<Hop> {
  const { log, limits } = place;
  const group = place.group(kind);
  const waiting: LogRecord[] = [];
  let current = 0;
  let startedAt = Number.NaN;
  let working: Promise<void> | null = null;
  let fail: ((error: unknown) => void) | undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  // Whoever measures races against it.
  failed.catch(() => {});
  // Assigned below, but the first records may come before that.
  let member: Promise<LogConsumer> | null = null;
  const delivery = await deliveries[kind](place, {
    group,
    to,
    async commit(positions) {
      const committed = await member!.then((one) => one.commit(current, positions)).catch(fail);
      // A rebalance among one member is a fault of the machine's, and what comes again would be measured twice.
      if (committed === false) fail?.(new SaccadeError('log_unavailable', 'The group rebalanced while it was measured.'));
    },
  });

  async function work(): Promise<void> {
    while (waiting.length > 0) await delivery.deliver(waiting.splice(0, size));
  }

  member = log.consumer({
    group,
    topics: [from],
    from: start,
    maxBytes: limits.fetchBytes,
    maxBytesPerPartition: limits.fetchBytesPerPartition,
    handlers: {
      assigned: (generation) => void (current = generation),
      records(_generation, _source, records) {
        if (Number.isNaN(startedAt)) startedAt = performance.now();
        waiting.push(...records);
        working ??= work().catch(fail).finally(() => (working = null));
      },
      failed: (error) => fail?.(error),
    },
  });
  await member;

  return {
    group,
    counts: delivery.counts,
    startedAt: () => startedAt,
    failed,
    async settle() {
      const ends = await log.endOffsets(from);
      for (const until = clock.now() + 10_000; ; await clock.sleep(50)) {
        const committed = new Map((await log.committed(group, from)).map(({ partition, offset }) => [partition, offset]));
        // A partition that never had a record may never be committed.
        if (ends.every(({ partition, offset }) => (committed.get(partition) ?? 0) === offset)) return;
        if (clock.now() > until) throw new SaccadeError('internal', `The ${kind} hop delivered everything, but its position does not say so.`);
      }
    },
    async close() {
      await working;
      await delivery.close();
      await (await member!).close();
    },
  };
}
