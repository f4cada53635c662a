/** A producer of another make than the pipeline's, which compresses. */
import kafkajs from 'kafkajs';
import type { OutgoingRecord } from '../../../connectors/ports.ts';

export interface CompressingProducer {
  send(record: OutgoingRecord): Promise<void>;
  close(): Promise<void>;
}

export async function compressingProducer(broker: string): Promise<CompressingProducer> {
  const kafka = new kafkajs.Kafka({ brokers: [broker], clientId: 'chaos-compressing', logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 2 } });
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner, allowAutoTopicCreation: false });
  await producer.connect();
  return {
    async send({ topic, key, value, headers }) {
      await producer.send({ topic, acks: -1, compression: kafkajs.CompressionTypes.GZIP, messages: [{ key, value, headers: { ...headers } }] });
    },
    close: () => producer.disconnect(),
  };
}
