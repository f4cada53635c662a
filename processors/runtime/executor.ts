/** What a stage executor is given and what it offers: the seam between one stage's work and the chain it belongs to. */
import type { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, Clock, SchemaRegistry } from '../../connectors/ports.ts';
import type { Queued } from './batch-queue.ts';
import type { Logger } from './logger.ts';
import type { StageMetrics } from './metrics.ts';
import type { Entry } from './partition-queue.ts';
import type { Quarantine } from './quarantine.ts';
import type { Step } from './wiring.ts';

/** An input of this stage that belongs to an entry of the chain. */
export interface Work extends Queued {
  readonly entry: Entry;
  /** Handed over in memory by a fused stage; absent when the entry's own bytes are to be decoded. */
  readonly handedOver?: { readonly value: unknown; readonly key: string | null; readonly traceparent: string; spent?(): void };
  attempt: number;
}

export interface ExecutorOptions {
  readonly step: Step;
  readonly cluster: string;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly random: (() => number) | undefined;
  readonly metrics: StageMetrics;
  readonly log: Logger;
  readonly maxRecordBytes: number;
  readonly quarantine: Quarantine | undefined;
  /** False once the entry's generation is over: its work is dropped silently, someone else will do it. */
  current(entry: Entry): boolean;
  signal(): AbortSignal;
  /** Where a bypassed topic's records of this entry go, or undefined when the topic is not bypassed. */
  next(topic: string, entry: Entry): StageExecutor | undefined;
  /** No batch is begun while it is true: finished work waits for the log and memory for more of it is used up, say. */
  hold(): boolean;
  /** Outputs of this many bytes wait for their acknowledgement. */
  produced(entry: Entry, bytes: number): void;
  /** Where a dead letter too large for its topic leaves its bytes. */
  readonly blobs: Pick<BlobStore, 'put'> | undefined;
  /** The budget is charged for what fused stages hand over, and with a negative figure given it back when that is done with. */
  charge(entry: Entry, bytes: number): void;
  /** A record of the source has left this stage: as a dead letter for this error, or (null) otherwise. */
  left(source: string, error: SaccadeError | null): void;
  /** It has come to wait for the environment: a sign of life. */
  waits(): void;
  /** All branches of the entry are done and its outputs complete. */
  finished(entry: Entry): void;
}

export interface StageExecutor {
  readonly stage: string;
  submit(work: Work): void;
  /** What held it back may be over. */
  wake(): void;
  /** Forgets queued work of ended generations. */
  prune(): void;
  /** Takes no new batch; resolves when the running ones have ended. */
  drain(): Promise<void>;
  /** Nothing has been handed to it that it has not settled. */
  readonly idle: boolean;
  /** The environment fault being waited out, or null. */
  trouble(): string | null;
  /** The stage holds its work back on purpose. */
  resting(): boolean;
}
