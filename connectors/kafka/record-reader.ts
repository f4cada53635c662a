/**
 * Single records by their place. A client of kafkajs can only read as a member of a group, which takes seconds to join; what
 * its consumers fetch by is private to it, and is reached for here (in kafkajs 2.2.4, which is pinned; the contract test of
 * the log would tell).
 */
import { SaccadeError } from '../errors.ts';
import type { KafkaMessage } from 'kafkajs';
import type { Place } from '../../schemas/records.ts';
import type { LogRecord } from '../ports.ts';
import { kafkaClient, type KafkaOptions } from './client.ts';
import { isRefused, isUnread, logUnavailable, reasonOf } from './errors.ts';
import { toRecord } from './records.ts';

interface Fetched {
  readonly responses: readonly { readonly partitions: readonly { readonly messages: readonly (KafkaMessage & { readonly isControlRecord?: boolean })[] }[] }[];
}

interface Broker {
  fetch(request: object): Promise<Fetched>;
}

interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, readonly number[]>>;
  findBroker(of: { readonly nodeId: string }): Promise<Broker>;
}

const readCommitted = 1;
/** Nothing is waited for: what has a place was written. */
const maxWaitMs = 10;
/** The broker sends the batch with the record, whatever its size, and no other. */
const oneBatch = 1;
const attempts = 3;
/** Reads that wait for their turn at most, and for how long one is worth beginning: a broker that does not answer must not gather readers. */
const waitingAtMost = 64;
const patienceMs = 10_000;

function clusterOf(options: KafkaOptions): Cluster {
  const client = kafkaClient(options);
  const make = Object.getOwnPropertySymbols(client).find(({ description }) => description === 'private:Kafka:createCluster');
  const create = make && (client as unknown as Record<symbol, (options: object) => Cluster>)[make];
  if (!create) throw new SaccadeError('internal', 'This kafkajs makes its clusters in another way.');
  // Asked for a topic that is gone, a broker may make it anew.
  return create({ allowAutoTopicCreation: false });
}

export function recordReader(options: KafkaOptions) {
  let connection: Promise<Cluster> | null = null;
  /** One at a time: of two who find a broker unconnected, kafkajs loses one's connection, which then stays open for ever. */
  let turn: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let closed = false;

  async function connect(): Promise<Cluster> {
    const cluster = clusterOf(options);
    await cluster.connect();
    return cluster;
  }

  async function drop(): Promise<void> {
    const old = connection;
    connection = null;
    await old?.then((cluster) => cluster.disconnect()).catch(() => {});
  }

  async function fetch(cluster: Cluster, { topic, partition, offset }: Place): Promise<LogRecord | null> {
    await cluster.addTargetTopic(topic);
    const leader = (): string | undefined => Object.keys(cluster.findLeaderForPartitions(topic, [partition]))[0];
    // Partitions may have been added since it was last asked.
    if (leader() === undefined) await cluster.refreshMetadata();
    const nodeId = leader();
    if (nodeId === undefined) return null;
    const broker = await cluster.findBroker({ nodeId });
    const { responses } = await broker.fetch({
      isolationLevel: readCommitted,
      maxWaitTime: maxWaitMs,
      maxBytes: oneBatch,
      topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: oneBatch }] }],
    });
    const messages = responses.flatMap(({ partitions }) => partitions.flatMap((each) => each.messages));
    const found = messages.find((message) => Number(message.offset) === offset && !message.isControlRecord);
    return found ? toRecord({ topic, partition }, found) : null;
  }

  async function readNow(place: Place, until: number): Promise<LogRecord | null> {
    for (let attempt = 1; ; attempt += 1) {
      if (closed) throw new SaccadeError('log_unavailable', 'the log is closed');
      if (Date.now() > until) throw new SaccadeError('log_unavailable', 'the brokers take too long to give single records');
      const current = (connection ??= connect());
      try {
        return await fetch(await current, place);
      } catch (error) {
        if (isUnread(error)) return null;
        if (isRefused(error)) throw new SaccadeError('invalid_config', reasonOf(error), error);
        // Another leader, or a broker that started again: the next try asks anew who leads.
        if (connection === current) await drop();
        if (attempt === attempts) throw logUnavailable(`reading ${place.topic}/${place.partition}@${place.offset}`, error);
      }
    }
  }

  return {
    /** Null when there is no such record (any more). Throws log_unavailable, invalid_config. */
    read(place: Place): Promise<LogRecord | null> {
      if (waiting >= waitingAtMost) return Promise.reject(new SaccadeError('log_unavailable', `${waiting} reads of single records wait already`));
      const until = Date.now() + patienceMs;
      waiting += 1;
      const mine = turn.then(() => readNow(place, until)).finally(() => (waiting -= 1));
      turn = mine.catch(() => {});
      return mine;
    },
    close(): Promise<void> {
      closed = true;
      return drop();
    },
  };
}
