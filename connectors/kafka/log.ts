/** The log on Kafka, behind the port: no record and no error of kafkajs's leaves through it. */
import type { Log, LogConsumer, LogProducer } from '../ports.ts';
import { SaccadeError } from '../errors.ts';
import { kafkaAdmin } from './admin.ts';
import type { KafkaOptions } from './client.ts';
import { kafkaConsumer } from './consumer.ts';
import { kafkaProducer } from './producer.ts';
import { recordReader } from './record-reader.ts';

export type { KafkaLogger, KafkaOptions } from './client.ts';

/** Connects when first asked for something. Every method throws log_unavailable, or invalid_config where only an operator can help. */
export function kafkaLog(options: KafkaOptions): Log {
  const admin = kafkaAdmin(options);
  const reader = recordReader(options);
  const producers = new Set<LogProducer>();
  const consumers = new Set<LogConsumer>();

  return {
    kind: 'kafka',
    durable: true,
    clusterId: admin.clusterId,
    ensureTopics: admin.ensureTopics,
    async partitions(topic) {
      const count = await admin.partitions(topic);
      if (count === 0) throw new SaccadeError('log_unavailable', `there is no topic ${topic}`);
      return count;
    },
    read: reader.read,
    async beginningOffsets(topic) {
      return (await admin.bounds(topic)).map(({ partition, low }) => ({ topic, partition, offset: low }));
    },
    async endOffsets(topic) {
      return (await admin.bounds(topic)).map(({ partition, high }) => ({ topic, partition, offset: high }));
    },
    offsetsAt: admin.offsetsAt,
    committed: (group, topic) => admin.committed(group, [topic]),
    async producer() {
      const producer = await kafkaProducer(options);
      producers.add(producer);
      return producer;
    },
    async consumer(consumerOptions) {
      const consumer = await kafkaConsumer(options, admin, consumerOptions);
      consumers.add(consumer);
      return consumer;
    },
    /** Consumers first: what they leave unfinished may still be produced. */
    async close() {
      await Promise.all([...consumers].map((one) => one.close()));
      await Promise.all([...producers].map((one) => one.close()));
      await Promise.all([admin.close(), reader.close()]);
    },
  };
}
