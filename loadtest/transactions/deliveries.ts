/** The two ways to hand on the outputs of a batch and the position behind its inputs. */
import { Partitioners } from 'kafkajs';
import { kafkaClient } from '../../connectors/kafka/client.ts';
import { toMessage } from '../../connectors/kafka/records.ts';
import type { LogRecord, OutgoingRecord, Position } from '../../connectors/ports.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import type { Place } from './place.ts';

/** Whose inputs they are. */
export interface Member {
  readonly group: string;
  readonly to: string;
  /** Does not reject: a position that cannot be committed ends the hop. */
  commit(positions: readonly Position[]): Promise<void>;
}

export interface Delivery {
  /** Resolves when the next batch may follow. */
  deliver(batch: readonly LogRecord[]): Promise<void>;
  /** Transactions, and how often one could not begin because the marks of the last were still being written. */
  readonly counts: { transactions: number; waits: number };
  /** Resolves when all that was delivered is committed. */
  close(): Promise<void>;
}

export const deliveries = { at_least_once: atLeastOnce, transactional } as const;
export type DeliveryName = keyof typeof deliveries;

const outputOf = (to: string, { partition, key, value, headers }: LogRecord): OutgoingRecord => ({ topic: to, partition, key, value, headers });

/** The next offset of every partition the batch has records of: they come in order. */
function positionsBehind(batch: readonly LogRecord[]): Position[] {
  const behind = new Map<number, Position>();
  for (const { topic, partition, offset } of batch) behind.set(partition, { topic, partition, offset: offset + 1 });
  return [...behind.values()];
}

/** The runtime's way: outputs acknowledged by all in-sync replicas, and the low-water marks committed behind them, at intervals. */
async function atLeastOnce({ log, limits }: Place, { to, commit }: Member): Promise<Delivery> {
  const producer = await log.producer();
  const pending = new Map<number, Position>();
  let committing: Promise<void> | null = null;
  const commitNow = async (): Promise<void> => {
    const positions = [...pending.values()];
    pending.clear();
    if (positions.length > 0) await commit(positions);
  };
  function soon(): void {
    committing ??= clock.sleep(limits.commitIntervalMs).then(commitNow).then(() => {
      committing = null;
      // What was delivered while the commit was under way.
      if (pending.size > 0) soon();
    });
  }
  return {
    counts: { transactions: 0, waits: 0 },
    async deliver(batch) {
      await producer.send(batch.map((record) => outputOf(to, record)));
      for (const position of positionsBehind(batch)) pending.set(position.partition, position);
      soon();
    },
    async close() {
      while (committing) await committing;
      await producer.close();
    },
  };
}

/** Outputs and positions of a batch in one transaction of kafkajs's. */
async function transactional({ options, transactionalId }: Place, { group, to }: Member): Promise<Delivery> {
  const counts = { transactions: 0, waits: 0 };
  const log = {
    ...options.log,
    debug(_fields: object, message: string) {
      if (message.startsWith('Failed to send messages') && message.includes('another concurrent operation')) counts.waits += 1;
    },
  };
  const producer = kafkaClient({ ...options, log }).producer({
    transactionalId: transactionalId('hop'),
    createPartitioner: Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false,
    idempotent: true,
    maxInFlightRequests: 1,
    metadataMaxAge: 60_000,
    // The end of a transaction is answered before its marks are written, and until then the next is refused. The Java client
    // asks again after 20 ms; kafkajs's own 300 ms would be all that is measured.
    retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 20 },
  });
  await producer.connect();
  return {
    counts,
    async deliver(batch) {
      const transaction = await producer.transaction();
      await transaction.sendBatch({ acks: -1, topicMessages: [{ topic: to, messages: batch.map((record) => toMessage(outputOf(to, record))) }] });
      const behind = positionsBehind(batch);
      const offsets = behind.map(({ partition, offset }) => ({ partition, offset: String(offset) }));
      await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic: behind[0]!.topic, partitions: offsets }] });
      await transaction.commit();
      counts.transactions += 1;
    },
    close: () => producer.disconnect(),
  };
}
