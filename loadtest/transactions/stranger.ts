/** What a transaction does not fence: whoever asks may commit a position of the group in one, without having been its member. */
import { kafkaClient } from '../../connectors/kafka/client.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { startHop } from './hop.ts';
import type { Place } from './place.ts';

/**
 * A zombie is on the wire what this is: a producer with a transactional id of its own and the group's name, as kafkajs's
 * sendOffsets sends neither member nor generation. `from` has records in each partition; answers whether the position of a
 * group with a live member went back to the beginning.
 */
export async function strangersOffsetsCount(place: Place, from: string, to: string): Promise<boolean> {
  const hop = await startHop(place, { delivery: 'transactional', from, to, start: 'earliest', size: 100 });
  const producer = kafkaClient(place.options).producer({ transactionalId: place.transactionalId('stranger'), idempotent: true, maxInFlightRequests: 1, retry: { retries: 20 } });
  try {
    await Promise.race([hop.settle(), hop.failed]);
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.sendOffsets({ consumerGroupId: hop.group, topics: [{ topic: from, partitions: [{ partition: 0, offset: '0' }] }] });
    await transaction.commit();
    // The mark that makes it count is written after the answer.
    for (const until = clock.now() + 3_000; clock.now() < until; await clock.sleep(50)) {
      if ((await place.log.committed(hop.group, from)).some(({ partition, offset }) => partition === 0 && offset === 0)) return true;
    }
    return false;
  } catch (error) {
    if (/member|generation|fenced/i.test(String(error))) return false;
    throw error;
  } finally {
    await producer.disconnect();
    await hop.close();
  }
}
