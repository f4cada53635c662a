/** What the commands need of the world; main.ts picks it, a test brings its own. */
import type { BlobStore, Clock, Log, Masker, SchemaRegistry, TopicPartition, TopicSpec } from '../../connectors/ports.ts';

/** The records of a partition from `low` up to, not including, `high`. */
export interface Span extends TopicPartition {
  readonly low: number;
  readonly high: number;
}

/** The questions about topics that no stage asks. */
export interface Survey {
  /** Names of all topics there are. */
  topics(): Promise<readonly string[]>;
  bounds(topic: string): Promise<readonly Span[]>;
}

export interface World {
  readonly log: Log;
  readonly survey: Survey;
  readonly registry: SchemaRegistry;
  readonly blobs: BlobStore;
  readonly masker: Masker;
  /** Whose the images in an input are; null: nobody says. */
  tenantOf(input: string): string | null;
  /** Models that `models unload` has taken away: nobody reads their tensors. Throws log_unavailable. */
  unloaded(): Promise<ReadonlySet<string>>;
  readonly clock: Clock;
  /** How the topic of the marks is created where it is missing. */
  readonly handledSpec: TopicSpec;
  /** Aborted when the user wants to stop: what is under way is finished and marked. */
  readonly stopping: AbortSignal;
}

/** Lines for a person (`say`, stderr) beside the answer itself (`print`, stdout). */
export interface Output {
  print(line: string): void;
  say(line: string): void;
}
