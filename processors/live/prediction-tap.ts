/** Reads the predictions, all of them, without holding more than a few megabytes of what is not decoded yet. */
import type { ConsumerHandlers, LogConsumer, LogRecord, SchemaRegistry, TopicPartition } from '../../connectors/ports.ts';
import type { Prediction } from '../../schemas/records.ts';

const PENDING_BYTES = 8 * 1024 * 1024;

export interface PredictionTap {
  readonly handlers: ConsumerHandlers;
  /** The consumer the handlers were given to: it is paused while decoding is behind. */
  attach(consumer: LogConsumer): void;
}

export function predictionTap(
  registry: Pick<SchemaRegistry, 'decode'>,
  taken: (prediction: Prediction) => void,
  failed: (error: Error) => void,
): PredictionTap {
  const paused = new Map<string, TopicPartition>();
  let consumer: LogConsumer | null = null;
  let pending = 0;

  const done = (bytes: number): void => {
    pending -= bytes;
    if (paused.size === 0 || pending > PENDING_BYTES / 2) return;
    consumer?.resume([...paused.values()]);
    paused.clear();
  };
  const read = (record: LogRecord): void => {
    if (record.value === null) return;
    const bytes = record.value.length;
    pending += bytes;
    void registry
      .decode(record.topic, record.value)
      // One unreadable record only lacks on the page: the sink is who reports it.
      .then((prediction) => taken(prediction as Prediction), () => undefined)
      .finally(() => done(bytes));
  };

  return {
    attach(to) {
      consumer = to;
    },
    handlers: {
      assigned: () => paused.clear(),
      failed,
      records(_generation, source, records) {
        for (const record of records) read(record);
        if (pending <= PENDING_BYTES || !consumer) return;
        paused.set(`${source.topic}-${source.partition}`, source);
        consumer.pause([source]);
      },
    },
  };
}
