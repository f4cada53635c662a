/** Records as kafkajs has them and as the port has them. */
import type { IHeaders, KafkaMessage, Message } from 'kafkajs';
import type { Headers, LogRecord, OutgoingRecord, TopicPartition } from '../ports.ts';

/** Foreign headers may repeat (the last one counts, as in Kafka's lastHeader) or be null (read as empty). */
function toHeaders(headers: IHeaders | undefined): Headers {
  const text: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    const last = Array.isArray(value) ? value.at(-1) : value;
    text[name] = last === undefined || last === null ? '' : last.toString();
  }
  return text;
}

/** The value stays a view into the fetched response: copying it would cost more than the response's memory, which is bounded by the fetch limits. */
export function toRecord({ topic, partition }: TopicPartition, message: KafkaMessage): LogRecord {
  return {
    topic,
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: message.key,
    value: message.value,
    headers: toHeaders(message.headers),
  };
}

export function toMessage(record: OutgoingRecord): Message {
  return {
    key: record.key,
    value: record.value,
    ...(record.headers === undefined ? {} : { headers: { ...record.headers } }),
    ...(record.partition === undefined ? {} : { partition: record.partition }),
    ...(record.timestamp === undefined ? {} : { timestamp: String(record.timestamp) }),
  };
}

/** Bytes of a record without its headers, as `maxRecordBytes` counts them. */
export const payloadBytes = ({ key, value }: OutgoingRecord): number =>
  (key === null ? 0 : Buffer.byteLength(key)) + (value?.length ?? 0);
