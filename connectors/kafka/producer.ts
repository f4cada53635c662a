/** The producer: bounded requests, bounded patience. */
import { Partitioners, type Producer, type TopicMessages } from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogProducer, OutgoingRecord } from '../ports.ts';
import { SaccadeError } from '../errors.ts';
import { kafkaClient, type KafkaOptions } from './client.ts';
import { isRefused, isTooLarge, logUnavailable, reasonOf } from './errors.ts';
import { payloadBytes, toMessage } from './records.ts';

/** The records of one partition in one request form one batch, and the topic's record limit holds for the batch as a whole. */
const maxRequestBytes = 4 * 1024 * 1024;
/** How long a send goes on trying before it throws log_unavailable, so that a stage can say it is stuck. */
const patienceMs = 15_000;

/**
 * Not idempotent: kafkajs then retries without end, and after a lapse of the producer id answers OUT_OF_ORDER_SEQUENCE
 * until it is replaced. Repeats are harmless here, every record is identified by its content.
 */
async function connectProducer(options: KafkaOptions): Promise<Producer> {
  const producer = kafkaClient(options).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false,
    idempotent: false,
    metadataMaxAge: 60_000,
    // Repeated by sendChunk. A send that was given up must not be repeated by kafkajs behind its back, after its successors.
    retry: { retries: 0 },
  });
  await producer.connect();
  return producer;
}

export async function kafkaProducer(options: KafkaOptions): Promise<LogProducer> {
  let connection: Promise<Producer> | null = null;
  let closed = false;

  function drop(): Promise<void> {
    const old = connection;
    connection = null;
    return old === null ? Promise.resolve() : old.then((producer) => producer.disconnect()).catch(() => {});
  }

  async function attempt(records: readonly OutgoingRecord[]): Promise<void> {
    const current = (connection ??= connectProducer(options));
    try {
      const producer = await current;
      await producer.sendBatch({ acks: -1, timeout: 10_000, topicMessages: byTopic(records) });
    } catch (error) {
      // A connection that could not even be made is not kept: its promise would fail every later send.
      await current.catch(() => {
        if (connection === current) connection = null;
      });
      throw error;
    }
  }

  async function sendChunk(records: readonly OutgoingRecord[]): Promise<void> {
    for (const started = Date.now(); ; ) {
      if (closed) throw new SaccadeError('log_unavailable', 'the producer is closed');
      try {
        return await within(started + patienceMs - Date.now(), attempt(records));
      } catch (error) {
        if (isTooLarge(error)) return await splitAndSend(records, error);
        if (isRefused(error)) throw new SaccadeError('invalid_config', reasonOf(error), error);
        if (Date.now() - started >= patienceMs) {
          void drop();
          throw logUnavailable('producing', error);
        }
        await sleep(250);
      }
    }
  }

  /** Refused as too large: several records may only be too large together. */
  async function splitAndSend(records: readonly OutgoingRecord[], error: unknown): Promise<void> {
    const [first] = records;
    if (records.length === 1 && first !== undefined) {
      throw new SaccadeError('payload_too_large', `${payloadBytes(first)} bytes are too many for a record of ${first.topic}.`, error);
    }
    const half = Math.ceil(records.length / 2);
    await sendChunk(records.slice(0, half));
    await sendChunk(records.slice(half));
  }

  connection = connectProducer(options);
  await connection.catch((error: unknown) => {
    throw isRefused(error) ? new SaccadeError('invalid_config', reasonOf(error), error) : logUnavailable('connecting', error);
  });

  return {
    async send(records) {
      // One after the other, so that a partition's records stay in order.
      for (const chunk of chunks(records)) await sendChunk(chunk);
    },
    async close() {
      closed = true;
      await drop();
    },
  };
}

/** A broker that neither answers nor closes the connection would keep kafkajs busy for minutes. */
async function within(ms: number, sending: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new SaccadeError('log_unavailable', 'no answer from the broker')), ms);
  });
  try {
    await Promise.race([sending, late]);
  } finally {
    clearTimeout(timer);
  }
}

function* chunks(records: readonly OutgoingRecord[]): Generator<readonly OutgoingRecord[]> {
  let chunk: OutgoingRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = payloadBytes(record);
    if (chunk.length > 0 && bytes + size > maxRequestBytes) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(record);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

function byTopic(records: readonly OutgoingRecord[]): TopicMessages[] {
  const topics = new Map<string, TopicMessages>();
  for (const record of records) {
    const entry = topics.get(record.topic) ?? { topic: record.topic, messages: [] };
    entry.messages.push(toMessage(record));
    topics.set(record.topic, entry);
  }
  return [...topics.values()];
}
