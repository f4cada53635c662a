/** The SchemaRegistry port over anything that gives a schema an id and an id its schema. */
import type { Resolver, Schema, Type } from 'avsc';
import { avroSchema, describeTopic } from '../../schemas/topics.ts';
import { asSaccadeError, SaccadeError } from '../errors.ts';
import type { SchemaRegistry } from '../ports.ts';
import { avroType } from './avro-type.ts';
import { boundsCheck } from './bounds.ts';
import { headerBytes, looksWired, wireId, writeWire } from './wire.ts';

/** Where ids come from. */
export interface SchemaSource {
  readonly kind: SchemaRegistry['kind'];
  /** Registers the schema under the subject, unless it is there. Throws incompatible_schema, registry_unavailable. */
  idOf(subject: string, schema: string, name: string): Promise<number>;
  /** The schema of an id. Throws undecodable_record when there is none, registry_unavailable. */
  schemaOf(id: number): Promise<Schema>;
}

export interface SchemaRegistryOptions {
  /** The current schema's text by its name. Default: the files of schemas/avro. */
  readonly schema?: (name: string) => string;
  readonly now?: () => number;
}

/** Reads bytes of one writer's schema as a topic's current schema. */
type Reader = (bytes: Buffer) => unknown;

interface Topic {
  readonly plainBytes: boolean;
  /** Null for a topic of bytes as they came. */
  readonly current: { readonly name: string; readonly text: string; readonly type: Type } | null;
  readonly readers: Map<number, Reader>;
  /** Asked for once, however many records wait for it. */
  readonly coming: Map<number, Promise<Reader>>;
  /** Ids that cannot be read, so that a flood of them does not become a flood of questions. */
  readonly unreadable: Map<number, { readonly until: number; readonly error: SaccadeError }>;
  id: Promise<number> | null;
}

/** How long an unreadable id is refused without asking again: its schema may be registered meanwhile. */
const unreadableForMs = 10_000;
const unreadableAtMost = 1000;

export function schemaRegistry(source: SchemaSource, options: SchemaRegistryOptions = {}): SchemaRegistry {
  const { schema = avroSchema, now = Date.now } = options;
  const topics = new Map<string, Topic>();

  const topicOf = (name: string): Topic => {
    const there = topics.get(name);
    if (there) return there;
    const description = describeTopic(name);
    if (!description) throw new SaccadeError('internal', `No topic ${name} is described.`);
    return remember(name, description.schema, description.plainBytes ?? false);
  };

  const remember = (name: string, schemaName: string | null, plainBytes: boolean): Topic => {
    const text = schemaName === null ? '' : JSON.stringify(JSON.parse(schema(schemaName)));
    const current = schemaName === null ? null : { name: schemaName, text, type: avroType(JSON.parse(text) as Schema) };
    const topic: Topic = { plainBytes, current, readers: new Map(), coming: new Map(), unreadable: new Map(), id: null };
    topics.set(name, topic);
    return topic;
  };

  const idOf = (name: string, topic: Topic, current: NonNullable<Topic['current']>): Promise<number> => {
    topic.id ??= source.idOf(`${name}-value`, current.text, current.name).then(
      (id) => {
        // Our own records need no question to the registry.
        topic.readers.set(id, readerOf(current.type, current.type));
        return id;
      },
      (error: unknown) => {
        topic.id = null;
        throw error;
      },
    );
    return topic.id;
  };

  const fetchReader = async (topic: Topic, current: NonNullable<Topic['current']>, id: number): Promise<Reader> => {
    try {
      const writer = avroType(await source.schemaOf(id));
      const reader = readerOf(current.type, writer);
      topic.readers.set(id, reader);
      return reader;
    } catch (thrown) {
      const error = asSaccadeError(thrown, 'undecodable_record');
      if (error.code === 'undecodable_record') {
        if (topic.unreadable.size >= unreadableAtMost) topic.unreadable.clear();
        topic.unreadable.set(id, { until: now() + unreadableForMs, error });
      }
      throw error;
    } finally {
      topic.coming.delete(id);
    }
  };

  return {
    kind: source.kind,
    async prepare(specs) {
      for (const spec of specs) {
        const topic = topics.get(spec.name) ?? remember(spec.name, spec.schema, spec.plainBytes);
        // One after the other: a registry that is just starting serves a first request slowly and ten at once not at all.
        if (topic.current) await idOf(spec.name, topic, topic.current);
      }
    },
    async encode(name, value) {
      const topic = topicOf(name);
      if (topic.current) return writeWire(topic.current.type, await idOf(name, topic, topic.current), value);
      if (Buffer.isBuffer(value)) return value;
      throw new SaccadeError('internal', `Values of ${name} are bytes.`);
    },
    async decode(name, bytes) {
      const topic = topicOf(name);
      if (!topic.current || (topic.plainBytes && !looksWired(bytes))) return bytes;
      const id = wireId(bytes);
      let reader = topic.readers.get(id);
      if (!reader) {
        const refused = topic.unreadable.get(id);
        if (refused && refused.until > now()) throw refused.error;
        let coming = topic.coming.get(id);
        if (!coming) topic.coming.set(id, (coming = fetchReader(topic, topic.current, id)));
        reader = await coming;
      }
      return reader(bytes);
    },
  };
}

function readerOf(current: Type, writer: Type): Reader {
  const resolver = current.equals(writer) ? undefined : resolverOf(current, writer);
  const check = boundsCheck(writer);
  return (bytes) => {
    check(bytes, headerBytes);
    try {
      return current.decode(bytes, headerBytes, resolver).value as unknown;
    } catch (error) {
      throw new SaccadeError('undecodable_record', (error as Error).message, error);
    }
  };
}

function resolverOf(current: Type, writer: Type): Resolver {
  try {
    return current.createResolver(writer);
  } catch (error) {
    throw new SaccadeError('undecodable_record', `Written as ${writer.name}, it cannot be read as ${current.name}: ${(error as Error).message}.`, error);
  }
}
