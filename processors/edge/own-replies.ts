/**
 * Replies to the edge of the same process are handed over in memory instead of through the log and back: a hop less. Not before
 * what leaves with them, the prediction, is in the log. What this edge does not await goes the way of all.
 */
import type { LogProducer, OutgoingRecord } from '../../connectors/ports.ts';
import type { ReplyDesk } from './reply-desk.ts';

type Desk = Pick<ReplyDesk, 'awaits' | 'receive'>;

export interface OwnReplies<P extends LogProducer> {
  /** For the stages. */
  readonly producer: P;
  /** From now on. */
  deliverTo(desk: Desk): void;
}

export function ownReplies<P extends LogProducer>(producer: P): OwnReplies<P> {
  let desk: Desk | null = null;
  return {
    producer: {
      ...producer,
      async send(records: readonly OutgoingRecord[]) {
        const own = desk === null ? [] : records.filter(desk.awaits);
        if (own.length === 0) return producer.send(records);
        const others = records.filter((record) => !own.includes(record));
        if (others.length > 0) await producer.send(others);
        for (const record of own) desk?.receive(record);
      },
    },
    deliverTo(to) {
      desk = to;
    },
  };
}
