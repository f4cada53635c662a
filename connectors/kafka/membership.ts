/** One life of a kafkajs consumer: from connecting to closing or crashing. consumer.ts starts another when one ends. */
import { PartitionAssigners, type Batch, type OffsetsByTopicPartition } from 'kafkajs';
import type { ConsumerOptions, Position, TopicPartition } from '../ports.ts';
import { claimAssigner } from './assigner.ts';
import { kafkaClient, type KafkaOptions } from './client.ts';

/** kafkajs's batch; its type leaves out the offset that was asked for. */
export type FetchedBatch = Batch & { readonly fetchedOffset: string };

export interface MembershipEvents {
  joined(partitions: readonly TopicPartition[]): void;
  /** The group rebalances, and this member joins it again as soon as this returns. */
  rejoining(): void;
  /** Answers whether the batch was taken over; if not, kafkajs fetches it again. */
  batch(batch: FetchedBatch): boolean;
  /** kafkajs moved past records that are not for us (control records of transactions, compacted ones). */
  skipped(partition: TopicPartition, next: number): void;
  crashed(error: Error): void;
}

export interface Membership {
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  seek(position: Position): void;
  /** One attempt, in the generation that kafkajs is in at the moment of the call. */
  commit(positions: readonly Position[]): Promise<void>;
  /** Leaves the group. */
  close(): Promise<void>;
}

/** kafkajs waits for a join or a fetch that is under way before it leaves; a broker that is gone must not hold up the exit. */
const closeWithinMs = 8_000;
/**
 * A claim is not shared out anew, nobody waits for its partitions, and it rests only where it gathers. So what takes part in
 * it need not be told often that nothing has happened: what happens is told at once all the same.
 */
const claimed = { waitMs: 2_000, heartbeatMs: 2_000, closeWithinMs: 200 } as const;
const shared = { waitMs: 200, heartbeatMs: 250, closeWithinMs } as const;
/** So much of it does not wait for more. */
const gatheredBytes = 512 * 1024;

export function joinGroup(client: KafkaOptions, options: ConsumerOptions, events: MembershipEvents): Membership {
  const often = options.claim === undefined ? shared : claimed;
  const consumer = kafkaClient(client).consumer({
    groupId: options.group,
    partitionAssigners: [options.claim === undefined ? PartitionAssigners.roundRobin : claimAssigner(options.claim)],
    sessionTimeout: 10_000,
    // How late a member learns that the group rebalances, and for so long the partitions of one that left lie idle.
    heartbeatInterval: often.heartbeatMs,
    rebalanceTimeout: 20_000,
    // Also how long kafkajs sleeps when every partition is paused: it heartbeats in between, and a resume waits for its end.
    maxWaitTimeInMs: options.gatherMs ?? often.waitMs,
    minBytes: options.gatherMs === undefined ? 1 : gatheredBytes,
    maxBytes: options.maxBytes,
    maxBytesPerPartition: options.maxBytesPerPartition,
    // How late partitions that were added are noticed: until then their records wait.
    metadataMaxAge: 5_000,
    allowAutoTopicCreation: false,
    // kafkajs would restart only after some errors, and then into the same client. Every crash is ours to handle.
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3, restartOnFailure: async () => false },
  });
  let commitNow: ((offsets: OffsetsByTopicPartition) => Promise<void>) | null = null;

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => events.joined(partitionsOf(payload.memberAssignment)));
  // kafkajs sends the join right after this, on the connection a commit goes by: one begun here arrives before it.
  consumer.on(consumer.events.REBALANCING, () => events.rejoining());
  consumer.on(consumer.events.CRASH, ({ payload }) => events.crashed(payload.error));
  // Batches without a record for us never reach eachBatch: kafkajs resolves them by itself.
  consumer.on(consumer.events.START_BATCH_PROCESS, ({ payload: { topic, partition, batchSize, lastOffset } }) => {
    if (batchSize === 0) events.skipped({ topic, partition }, Number(lastOffset) + 1);
  });

  async function run(): Promise<void> {
    await consumer.connect();
    // Where to begin is decided in start-positions.ts, by seeking; this is only what kafkajs does when retention overtook it.
    await consumer.subscribe({ topics: [...options.topics], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset, commitOffsetsIfNecessary }) => {
        commitNow = commitOffsetsIfNecessary as (offsets: OffsetsByTopicPartition) => Promise<void>;
        if (events.batch(batch as FetchedBatch)) resolveOffset(batch.lastOffset());
      },
    });
  }
  run().catch((error: unknown) => {
    events.crashed(error instanceof Error ? error : new Error(String(error)));
  });

  return {
    pause: (partitions) => whileRunning(() => consumer.pause(grouped(partitions))),
    resume: (partitions) => whileRunning(() => consumer.resume(grouped(partitions))),
    seek: ({ topic, partition, offset }) => whileRunning(() => consumer.seek({ topic, partition, offset: String(offset) })),
    /**
     * The commit that comes with a batch goes straight to the broker with the generation of the moment. consumer.commitOffsets
     * repeats itself after a failure, by then perhaps in a later generation: a stale commit would be accepted. It serves only
     * before the first batch, when there is nothing stale to commit.
     */
    async commit(positions) {
      const offsets = positions.map(({ offset, ...at }) => ({ ...at, offset: String(offset) }));
      if (commitNow === null) return await consumer.commitOffsets(offsets);
      const topics = grouped(positions).map(({ topic }) => ({
        topic,
        partitions: offsets.filter((at) => at.topic === topic).map(({ partition, offset }) => ({ partition, offset })),
      }));
      await commitNow({ topics });
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const enough = new Promise<void>((resolve) => (timer = setTimeout(resolve, often.closeWithinMs)));
      await Promise.race([consumer.disconnect().catch(() => {}), enough]);
      clearTimeout(timer);
    },
  };
}

/** kafkajs throws on these calls while it is stopped. Then there is nothing to pause or seek: the next join starts afresh. */
function whileRunning(call: () => void): void {
  try {
    call();
  } catch {
    // stopped
  }
}

function grouped(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of partitions) topics.set(topic, [...(topics.get(topic) ?? []), partition]);
  return [...topics].map(([topic, numbers]) => ({ topic, partitions: numbers }));
}

const partitionsOf = (assignment: Readonly<Record<string, number[]>>): TopicPartition[] =>
  Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition })));
