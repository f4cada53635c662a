/** The ports: what Saccade asks of the world. One folder beside this file for each engine that answers. */
import type { Readable } from 'node:stream';
import type { KnownAnswer } from '../schemas/known-answer.ts';
import type { Model } from '../schemas/model-card.ts';
import type { Place } from '../schemas/records.ts';
import type { TopicName, TopicSpec } from '../schemas/topics.ts';

export type Headers = Readonly<Record<string, string>>;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A record as it lies in the log. Offsets fit a double: 2^53 records a partition are out of reach. */
export interface LogRecord extends TopicPartition {
  readonly offset: number;
  /** Milliseconds since the epoch, set by the producer or the broker. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
}

export interface OutgoingRecord {
  readonly topic: string;
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Headers;
  /** Explicit partition; else the hash of the key decides (murmur2, as every Kafka client does). */
  readonly partition?: number;
  readonly timestamp?: number;
}

/** `offset` is the next one to read: the last processed + 1, as Kafka counts commits. */
export interface Position extends TopicPartition {
  readonly offset: number;
}

/**
 * What a consumer tells its owner. A generation is one membership of the group: it ends with any rebalance, and records,
 * pauses and commits of an older generation are void.
 */
export interface ConsumerHandlers {
  assigned(generation: number, partitions: readonly TopicPartition[]): void;
  /**
   * The generation is about to end, because the group shares its partitions out anew. A commit that is begun before this
   * returns is the last that counts: what is finished but not committed by then comes again, to whoever is next.
   */
  ending?(generation: number): void;
  /** Takes the records over at once; the consumer's position moves on, nothing is committed. */
  records(generation: number, source: TopicPartition, records: readonly LogRecord[]): void;
  /** All of the partition before `next` has been fetched, also what is nobody's record (the marks that transactions leave). */
  fetched?(generation: number, source: TopicPartition, next: number): void;
  /** The engine lost the log and is trying again by itself; told so that `/ready` can say so. */
  failed?(error: Error): void;
}

export interface ConsumerOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** Where a group without a committed offset begins. */
  readonly from: 'earliest' | 'latest';
  /**
   * Claim exactly these partitions of each topic, whatever other members hold (a group of one member). With 'latest' it need
   * not commit: a later generation goes on where the one before had read, not at the commit.
   */
  readonly claim?: readonly number[];
  /** Upper bounds of one fetch, in bytes. */
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  /** Milliseconds that what is new may stay in the log, so that more of it comes at once; absent: none. */
  readonly gatherMs?: number;
  readonly handlers: ConsumerHandlers;
}

export interface LogConsumer {
  /** Stops (resumes) the delivery of these partitions; a fetch already under way may still arrive. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** Commits if `generation` is still the current one; answers false, and commits nothing, if it is not. */
  commit(generation: number, positions: readonly Position[]): Promise<boolean>;
  /** Leaves the group. */
  close(): Promise<void>;
}

export interface LogProducer {
  /** Resolves when every record is acknowledged by all in-sync replicas; order within a partition is kept. Throws log_unavailable. */
  send(records: readonly OutgoingRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** The log: Kafka, or the in-process one. */
export interface Log {
  readonly kind: 'kafka' | 'memory';
  /** Whether an acknowledged record outlives this process. */
  readonly durable: boolean;
  clusterId(): Promise<string>;
  /** Creates the topics that are missing; never alters one that exists. Safe to call from many processes. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>;
  producer(): Promise<LogProducer>;
  /** Resolves once the group has been joined. */
  consumer(options: ConsumerOptions): Promise<LogConsumer>;
  partitions(topic: string): Promise<number>;
  /** One record that was written some time ago; null when retention has deleted it, or there never was one. Throws log_unavailable. */
  read(place: Place): Promise<LogRecord | null>;
  /** First offset still held, by partition: above 0 once retention has deleted records. */
  beginningOffsets(topic: string): Promise<Position[]>;
  /** Next offset to be written, by partition. */
  endOffsets(topic: string): Promise<Position[]>;
  /** First offset whose record is not older than `timestamp` (milliseconds since the epoch), by partition; the end where there is none. */
  offsetsAt(topic: string, timestamp: number): Promise<Position[]>;
  /** Committed positions of a group; a partition never committed is absent. */
  committed(group: string, topic: string): Promise<Position[]>;
  close(): Promise<void>;
}

/** Avro values in the Confluent wire format (magic 0, 4-byte schema id, body), by topic. */
export interface SchemaRegistry {
  readonly kind: 'registry' | 'files';
  /** Registers the schemas of these topics (subject `<topic>-value`, BACKWARD) and warms the cache. Throws incompatible_schema, registry_unavailable. */
  prepare(topics: readonly TopicSpec[]): Promise<void>;
  encode(topic: string, value: unknown): Promise<Buffer>;
  /** Throws undecodable_record for bytes that no schema of the registry reads, registry_unavailable when it can't be asked. */
  decode(topic: string, bytes: Buffer): Promise<unknown>;
}

/** A column of a table, by its exact type there, and where its value lies in a row. DateTime64(3) takes milliseconds since the epoch. */
export interface Column<T> {
  readonly name: string;
  readonly type: string;
  of(row: T): unknown;
}

/** The analytical store: ClickHouse, as a server or embedded. */
export interface Store {
  readonly kind: 'clickhouse' | 'chdb';
  /** Applies the migrations of schemas/clickhouse that are not applied yet. Safe to rerun, from many processes. */
  migrate(): Promise<void>;
  /** One atomic insert. Throws store_unavailable (retryable) or rejected_by_store. */
  insert(table: string, rows: readonly Readonly<Record<string, unknown>>[]): Promise<void>;
  /** The same for many rows of one kind, several times faster: they travel in binary. A value that does not fit its column is rejected_by_store. */
  inserter<T>(table: string, columns: readonly Column<T>[]): (rows: readonly T[]) => Promise<void>;
  /** Rows as objects. `params` bind `{name:Type}` placeholders. Throws query_failed or store_unavailable. */
  query<T = Record<string, unknown>>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]>;
  /** A statement that changes something and answers nothing. `params` as for a query. Throws query_failed or store_unavailable. */
  command(sql: string, params?: Readonly<Record<string, unknown>>): Promise<void>;
  /** The answer as text in any ClickHouse output format (Pretty, CSV, JSONEachRow …). `params` as for a query. */
  text(sql: string, format: string, params?: Readonly<Record<string, unknown>>): Promise<string>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface ReadOptions {
  /** Whose names an unqualified table means. */
  readonly database: string;
  /** Any output format of ClickHouse. */
  readonly format: string;
  readonly settings: Readonly<Record<string, string | number>>;
  /** Bind `{name:Type}` placeholders, as a query's. */
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  readonly queryId?: string | undefined;
  /** On a server, the role whose rights hold for this query alone. */
  readonly role?: string | undefined;
  /** Ends the query where the engine can, and the waiting for it anywhere. */
  readonly signal?: AbortSignal | undefined;
}

/** SQL of people: on connections that nothing else uses. */
export interface StoreReader {
  /** One query that reads: its answer as bytes. Throws query_failed or store_unavailable; the stream may fail with the same. */
  read(sql: string, options: ReadOptions): Promise<ReadAnswer>;
  close(): Promise<void>;
}

export interface ReadAnswer {
  readonly stream: Readable;
  /** The engine's own account of it (ClickHouse's X-ClickHouse-Summary), or null. */
  readonly summary: string | null;
}

/** Payloads too large for a record, by claim check. A blob is written before the record that names it. */
export interface BlobStore {
  readonly kind: 'folder' | 'memory';
  /** Stores the bytes and answers their claim; the same bytes under the same name are stored once. Throws blobs_unavailable. */
  put(name: string, bytes: Buffer): Promise<string>;
  /** Throws blob_missing, blobs_unavailable. */
  get(claim: string): Promise<Buffer>;
  /** Deletes blobs older than `ageMs`, which may depend on the name; answers how many. Age is the only ground on which a blob that a record names is deleted. */
  expire(ageMs: number | ((name: string) => number)): Promise<number>;
  /**
   * Deletes the oldest until no more than `maxBytes` are left, and answers their names: of those that `holderOf` a name tells apart, from
   * whoever holds more than a fair share. For pictures that are kept to look at, not for payloads.
   */
  trim(maxBytes: number, holderOf?: (name: string) => string): Promise<string[]>;
}

/** A cache with time to live: a hint, never the truth. It answers or fails at once; nobody waits for one that is away. */
export interface Cache {
  readonly kind: 'redis' | 'memory';
  /** The value of each key, or null, in order and in one round trip. Throws cache_unavailable. */
  get(keys: readonly string[]): Promise<(Buffer | null)[]>;
  /** Throws cache_unavailable. */
  set(key: string, value: Buffer, ttlMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface Counted {
  /** All that was asked for. */
  readonly allowed: boolean;
  /** So much of it: what was left of the window, where that is less. */
  readonly granted: number;
  /** What may still come in this window. */
  readonly remaining: number;
  /** Milliseconds until the window ends. */
  readonly resetMs: number;
}

/** Counts requests by key in windows that begin with their first. A counter that is away is no reason to refuse: never rejects for it. */
export interface RateCounter {
  readonly kind: 'redis' | 'memory';
  /** `many`: of several at once; absent: of one. */
  take(key: string, window: { readonly requests: number; readonly seconds: number }, many?: number): Promise<Counted>;
  /** Of a request that was taken and turned out to be none. */
  giveBack(key: string, window: { readonly requests: number; readonly seconds: number }): Promise<void>;
  close(): Promise<void>;
}

/** What a model is asked: `content` is the tensor's. */
export interface Question {
  readonly content: string;
  readonly model: Model;
}

/** Answers to pictures that were seen before. Nothing of it fails: what cannot be asked is a miss, what cannot be kept is let go. */
export interface AnswerCache {
  /** The answer to each question, or null, in order and in one round trip. */
  find(questions: readonly Question[]): Promise<(KnownAnswer | null)[]>;
  /** Returns at once; the answer is there some time later, or not. */
  keep(question: Question, answer: KnownAnswer): void;
}

/** A picture for a person's eyes, or for keeping. */
export interface Shown {
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** Whoever shows or keeps a picture passes it through here first. */
export interface Masker {
  /**
   * The picture with its faces covered as the tenant wants it (null, where nobody knows whose it is: as the strictest does);
   * null where that is not at all, and the picture may be shown as it came. Throws masking_unavailable, and what is said of
   * pictures that cannot be decoded: nothing of the picture may be shown or kept then.
   */
  mask(picture: Buffer, tenant: string | null): Promise<Shown | null>;
}

/** A record inside one stage's `process`. In a fused chain it is the chain's input. */
export interface InWork {
  readonly stage: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** With it, a topic that was created anew is not mistaken for the old one. */
  readonly timestamp: number;
}

/** What one process had in work when it died. */
export interface Death {
  /** The one record had the whole process to itself. */
  readonly alone: boolean;
  readonly records: readonly InWork[];
}

/** Which records are in work at this moment, kept where it outlives a process that is killed. Never throws: it guards the work, it must not stop it. */
export interface WorkJournal {
  /** What this process has in work from now on. Synchronous: when it returns, the death of the process can no longer lose it. */
  write(records: readonly InWork[], alone: boolean): void;
  /** The deaths that still leave somebody under suspicion, of all processes that share the journal. */
  deaths(): readonly Death[];
  /** This record came through: it is no longer part of any death. */
  clear(record: InWork): void;
  /** This process ends in order: what it had in work killed nobody. */
  close(): void;
}

/** Time is passed in, so a test of five minutes takes a millisecond. */
export interface Clock {
  now(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export type { TopicName, TopicSpec };
