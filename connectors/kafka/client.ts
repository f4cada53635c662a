/** One place for the settings of every kafkajs client, and for its chatter. */
import { Kafka, logLevel, type KafkaConfig, type LogEntry, type SASLOptions } from 'kafkajs';
import './codecs/register.ts';
import './idle-fetch.ts';
import './large-records.ts';
import './request-queue.ts';
import { socketFactory } from './socket.ts';

type Write = (fields: object, message: string) => void;

/** The part of a pino logger that is used here. */
export interface KafkaLogger {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
}

export interface KafkaOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly ssl?: NonNullable<KafkaConfig['ssl']>;
  readonly sasl?: SASLOptions;
  readonly log: KafkaLogger;
}

/**
 * A client of its own for each producer, consumer and admin: kafkajs keeps committed offsets in a map shared by all consumers
 * of a client, so two members of one group in one process would clear each other's.
 *
 * kafkajs's own retries are kept short. They are nested (connection inside request inside consumer), so generous numbers
 * multiply into minutes; what must go on for longer is repeated by us, where it can be seen and ended.
 */
export function kafkaClient(options: KafkaOptions): Kafka {
  return new Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
    ...(options.sasl === undefined ? {} : { sasl: options.sasl }),
    socketFactory,
    connectionTimeout: 3_000,
    authenticationTimeout: 10_000,
    requestTimeout: 12_000,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry: LogEntry) => route(options.log, entry),
  });
}

/** kafkajs reports every attempt of a retry as an error. What matters is reported by us, so its errors are detail. */
function route(log: KafkaLogger, { namespace, log: entry }: LogEntry): void {
  const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...fields } = entry;
  log.debug({ ...fields, kafkajs: namespace }, message);
}
