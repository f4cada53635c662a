/** topics.json, typed: the one description of every topic, read by the code, the tests and the README's table. */
import { readFileSync } from 'node:fs';

export type TopicName = string;

/** A topic as topics.json describes it; `*` in a name stands for a model or a topic. */
export interface TopicDescription {
  readonly name: string;
  readonly description: string;
  readonly key: string;
  /** Name of the Avro schema in schemas/avro, or null for bytes as they came. */
  readonly schema: string | null;
  /** Values that are not in the wire format are handed on as bytes instead of being refused. */
  readonly plainBytes?: boolean;
  readonly producers: readonly string[];
  readonly consumers: readonly string[];
  /** Who reads single records of it by their place, in no group and no order. */
  readonly fetchedBy?: readonly string[];
  readonly retentionHours: number;
  /** Its records, and so its dead letters, hold pictures as they came, faces and all. */
  readonly pictures?: boolean;
  /** Only the latest value of a key is kept, for ever: a table of control records, in one partition. */
  readonly compacted?: boolean;
}

/** A topic to be created. */
export interface TopicSpec {
  readonly name: TopicName;
  readonly schema: string | null;
  readonly plainBytes: boolean;
  readonly partitions: number;
  readonly replication: number;
  readonly minInSync: number;
  readonly retentionMs: number;
  /** How long records lie together before the file is closed that is deleted as a whole; absent: as the broker likes, a week perhaps. */
  readonly segmentMs?: number;
  readonly compacted?: boolean;
  /** Largest record, in bytes. */
  readonly maxRecordBytes: number;
}

export interface TopicDefaults {
  readonly partitions: number;
  readonly replication: number;
  readonly minInSync: number;
  readonly maxRecordBytes: number;
  /** Hours at most that pictures are kept as they came; absent: as topics.json says. */
  readonly rawHours?: number | undefined;
}

/** Record limit of every hop, in bytes. */
export const recordLimitBytes = 8 * 1024 * 1024;
/** What a record may carry beside its value. */
export const recordOverheadBytes = 64 * 1024;

export const descriptions: readonly TopicDescription[] = JSON.parse(
  readFileSync(new URL('./topics.json', import.meta.url), 'utf8'),
);

/** The description a topic's name falls under; `frames.dlq` is `*.dlq`, `tensors.nanodet` is `tensors.*`. */
export function describeTopic(name: TopicName): TopicDescription | undefined {
  const exact = descriptions.find((d) => d.name === name);
  if (exact) return exact;
  // `tensors.*` would fit the dead letters of tensors too, and give them its schema and its short retention.
  if (isDeadLetterTopic(name)) return descriptions.find((d) => d.name === deadLetterTopic('*'));
  return descriptions.find(({ name: pattern }) => {
    const star = pattern.indexOf('*');
    if (star < 0) return false;
    const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
    return name.length > head.length + tail.length && name.startsWith(head) && name.endsWith(tail);
  });
}

/** First byte of the Confluent wire format. No JPEG, PNG or WebP begins with it. */
const wireMagic = 0;
/** Whether a value is bytes as their producer sent them, in a topic that takes those. */
export const isPlainValue = (topic: TopicDescription | undefined, value: Uint8Array): boolean => topic?.plainBytes === true && value[0] !== wireMagic;

export const deadLetterTopic = (topic: TopicName): TopicName => `${topic}.dlq`;
/** Where pictures come in from outside: of the tenant that runs the installation, and each of another tenant's own. */
export const inputTopic: TopicName = 'frames.in';
/** `frames.in.dlq` is none: what lies there are dead letters, another tenant's. */
export const tenantTopicPattern = /^frames\.in\.(?!dlq$)[A-Za-z0-9_-]{1,64}$/;
/** The stage that reads an input, and so a group of its own: `ingest.acme` reads `frames.in.acme`. */
export const ingestOf = (input: TopicName): string => input.replace(inputTopic, 'ingest');
/** Which dead letters have been replayed or discarded: marks of processors/dead-letters. */
export const handledTopic: TopicName = 'dlq.handled';
/** Frames of sources above their quota. */
export const overflowTopic: TopicName = 'frames.overflow';
/** Which sources those are: a table that ingest keeps. */
export const admissionTopic: TopicName = 'admission';
/** Which partition of `replies` is whose: a table that the edges keep. */
export const leasesTopic: TopicName = 'edge.leases';
/** What was done by whom: audit.ts. */
export const auditTopic: TopicName = 'audit';
/** How each model is served: model-control.ts. */
export const modelsTopic: TopicName = 'models';
/** Windows of the streams beside their references, and what follows from them. */
export const driftWindowsTopic: TopicName = 'drift.windows';
export const alertsTopic: TopicName = 'alerts';
/** Frames whose pictures are kept to look at. */
export const keptTopic: TopicName = 'frames.kept';
/** Tables that drift keeps: what it has counted so far, and what is normal. */
export const driftStateTopic: TopicName = 'drift.state';
export const referencesTopic: TopicName = 'drift.references';
const isDeadLetterTopic = (topic: TopicName): boolean => topic.endsWith('.dlq');
export const tensorTopic = (model: string): TopicName => `tensors.${model}`;

/** Every topic of a deployment that serves these models and has these inputs besides `frames.in`, dead letters included. */
export function topicSpecs(models: readonly string[], { rawHours = Infinity, ...defaults }: TopicDefaults, tenantTopics: readonly TopicName[] = []): TopicSpec[] {
  const own = [inputTopic, ...tenantTopics, 'frames', overflowTopic, ...models.map(tensorTopic), 'predictions', driftWindowsTopic, alertsTopic, keptTopic, 'replies'];
  const consumed = own.filter((name) => name !== 'replies');
  const tables = descriptions.filter(({ compacted }) => compacted).map(({ name }) => name);
  return [...own, ...consumed.map(deadLetterTopic), handledTopic, auditTopic, ...tables].map((name) => {
    const description = describeTopic(name);
    if (!description) throw new Error(`topics.json describes no topic ${name}`);
    return {
      name,
      schema: description.schema,
      plainBytes: description.plainBytes ?? false,
      ...defaults,
      ...(description.compacted ? { compacted: true, partitions: 1 } : {}),
      // A dead letter is its record with the reason added: the largest record must still fit.
      maxRecordBytes: defaults.maxRecordBytes + (isDeadLetterTopic(name) ? recordOverheadBytes : 0),
      ...keptFor(name, description, rawHours),
    };
  });
}

const hourMs = 3_600_000;

/** Whether the records of a topic, or of the topic whose dead letters they are, hold pictures as they came. */
export const holdsPictures = (name: TopicName): boolean => describeTopic(isDeadLetterTopic(name) ? name.slice(0, -deadLetterTopic('').length) : name)?.pictures ?? false;

/**
 * A broker deletes whole files, once the youngest record in one is too old, and goes on with a file for a week: for a limit
 * to hold for the oldest record too, what may be in its file counts towards it.
 */
function keptFor(name: TopicName, { retentionHours }: TopicDescription, rawHours: number): Pick<TopicSpec, 'retentionMs' | 'segmentMs'> {
  if (!holdsPictures(name) || rawHours === Infinity) return { retentionMs: retentionHours * hourMs };
  const most = Math.min(retentionHours, rawHours) * hourMs;
  const segmentMs = Math.round(most / 6);
  return { retentionMs: most - segmentMs, segmentMs };
}

/** The Avro schema's text. */
export function avroSchema(name: string): string {
  return readFileSync(new URL(`./avro/${name}.avsc`, import.meta.url), 'utf8');
}
