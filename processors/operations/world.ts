/** What the commands need of the world; saccade.ts picks it, a test brings its own. */
import type { Clock, Log } from '../../connectors/ports.ts';

/** The questions about topics and groups, and the changes to them, that no stage makes. */
export interface ClusterAdmin {
  topics(): Promise<readonly string[]>;
  /** Throws log_unavailable. Resolves when the topic has this many partitions, each with a leader. */
  addPartitions(topic: string, count: number): Promise<void>;
  /** Groups that have members now, with how many, by a prefix of their name. */
  liveGroups(prefix: string): Promise<ReadonlyMap<string, number>>;
}

/** The latest value by key of a compacted topic. */
export interface Table {
  entries(): ReadonlyMap<string, Buffer>;
  put(key: string, value: Buffer | null): Promise<void>;
}

/** The tenants there are, and the trail of what is done to them. */
export interface Tenants {
  readonly names: ReadonlySet<string>;
  /** On the audit trail, where there is one. Throws metadata_unavailable. */
  record(action: string, tenant: string, target: object): Promise<void>;
}

export interface World {
  readonly log: Log;
  readonly admin: ClusterAdmin;
  readonly clock: Clock;
  /** The control topic `pauses`, followed. */
  readonly pauses: Table;
  /** The topic `policies`, followed. */
  readonly policies: Table;
  /** Asked when they are needed, since a database may have to be started for it. Throws metadata_unavailable. */
  tenants(): Promise<Tenants>;
  /** Begins the name of the group of each process that follows `pauses`, this one included. */
  readonly followers: string;
  /** The groups of the stages that read a topic. */
  readers(topic: string): readonly string[];
  /** Records of the topic that a group has not finished. */
  unfinished(group: string, topic: string): Promise<number>;
  close(): Promise<void>;
}
