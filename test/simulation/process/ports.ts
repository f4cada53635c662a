/** The ports of one process, onto the world they all share. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { BlobStore, Log, LogProducer, OutgoingRecord, SchemaRegistry, Store, WorkJournal } from '../../../connectors/ports.ts';
import { decodeValue, encodeValue } from '../world/wire.ts';
import type { World } from '../world/world.ts';
import { simulatedConsumer } from './consumer.ts';
import { simulatedJournal } from './journal.ts';
import type { Life } from './life.ts';

export interface Ports {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly journal: WorkJournal;
}

export const cluster = 'simulated';

export function portsOf(world: World, life: Life): Ports {
  const producer = producerOf(world, life);
  return { producer, log: logOf(world, life, producer), registry: registryOf(world, life), store: storeOf(world, life), blobs: blobsOf(world, life), journal: simulatedJournal(world, life) };
}

function producerOf(world: World, life: Life): LogProducer {
  const { broker, random } = world;

  function append(records: readonly OutgoingRecord[]): void {
    const written = records.map((record) => broker.append(record));
    world.note(life.name, `writes ${written.map((r) => `${r.topic}/${r.partition}@${r.offset}`).join(' ')}`);
  }

  return {
    send: (records) =>
      life.call('log', `send ${records.length} to ${[...new Set(records.map((r) => r.topic))].join()}`, () => append(records), {
        late: true,
        // A request is one batch for each partition, and each is written or refused for itself.
        partial() {
          const taken = new Map<string, boolean>();
          const placed = records.map((record) => ({ ...record, partition: broker.partitionOf(record) }));
          append(
            placed.filter(({ topic, partition }) => {
              const key = `${topic}/${partition}`;
              if (!taken.has(key)) taken.set(key, random.chance(0.5));
              return taken.get(key);
            }),
          );
        },
      }),
    close: async () => {},
  };
}

function logOf(world: World, life: Life, producer: LogProducer): Log {
  const { broker, groups } = world;
  const partitionsOf = (topic: string): { topic: string; partition: number }[] =>
    Array.from({ length: broker.partitions(topic) }, (_, partition) => ({ topic, partition }));
  return {
    kind: 'memory',
    durable: true,
    clusterId: async () => cluster,
    ensureTopics: async () => {},
    producer: async () => producer,
    consumer: (options) => simulatedConsumer(world, life, options),
    partitions: async (topic) => broker.partitions(topic),
    read: async () => null,
    // The simulated broker deletes nothing.
    beginningOffsets: async (topic) => partitionsOf(topic).map((at) => ({ ...at, offset: 0 })),
    endOffsets: (topic) => life.call('log', `ends of ${topic}`, () => partitionsOf(topic).map((at) => ({ ...at, offset: broker.end(at) }))),
    offsetsAt: async (topic) => partitionsOf(topic).map((at) => ({ ...at, offset: 0 })),
    committed: (group, topic) =>
      life.call('log', `positions of ${group}`, () =>
        [...(groups.find(group)?.committed ?? [])].map(([partition, offset]) => ({ topic, partition, offset })),
      ),
    close: async () => {},
  };
}

function registryOf(world: World, life: Life): SchemaRegistry {
  // Schemas are cached: only now and then must the registry itself be asked.
  const asks = (): boolean => world.random.chance(0.1);
  return {
    kind: 'files',
    prepare: async () => {},
    encode: async (topic, value) => (asks() ? life.call('registry', `encode for ${topic}`, () => encodeValue(value)) : encodeValue(value)),
    decode: async (topic, bytes) => (asks() ? life.call('registry', `decode of ${topic}`, () => decodeValue(bytes)) : decodeValue(bytes)),
  };
}

function storeOf(world: World, life: Life): Store {
  const unused = (): never => {
    throw new SaccadeError('query_failed', 'The simulated store is only written to.');
  };
  return {
    kind: 'clickhouse',
    migrate: () => life.call('store', 'migrate', () => {}),
    insert: (_table, rows) => life.call('store', `insert ${rows.length} rows`, () => world.table.insert(rows, life.name), { late: true }),
    inserter: (_table, columns) => (rows) => {
      const named = rows.map((row) => Object.fromEntries(columns.map(({ name, of }) => [name, of(row)])));
      return life.call('store', `insert ${rows.length} rows`, () => world.table.insert(named, life.name), { late: true });
    },
    query: async () => unused(),
    command: async () => unused(),
    text: async () => unused(),
    ping: async () => {},
    close: async () => {},
  };
}

function blobsOf(world: World, life: Life): BlobStore {
  const { blobs } = world;
  return {
    kind: 'memory',
    put: (name, bytes) =>
      life.call('blobs', `put ${name}`, () => {
        blobs.set(name, bytes);
        return name;
      }, { late: true }),
    get: (claim) =>
      life.call('blobs', `get ${claim}`, () => {
        const bytes = blobs.get(claim);
        if (!bytes) throw new SaccadeError('blob_missing', claim);
        return bytes;
      }),
    expire: async () => 0,
    trim: async () => [],
  };
}
