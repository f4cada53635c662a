/**
 * The stage contract. A stage turns a batch of inputs into one outcome each; it knows no Kafka, no offsets, no metrics.
 * Outputs are named by the stage and wired to topics in topology.ts.
 */
import type { SaccadeError } from '../connectors/errors.ts';
import type { Headers } from '../connectors/ports.ts';

/** One record, decoded, as a stage sees it. */
export interface Input<T = unknown> {
  readonly value: T;
  readonly key: string | null;
  readonly headers: Headers;
  /** Where the record lies: with the timestamp, an identity that survives redelivery and a recreated topic. */
  readonly origin: Origin;
  /** Bytes this record holds in memory while in flight. */
  readonly bytes: number;
  /** Milliseconds since the epoch when the runtime took the record over. */
  readonly receivedAt: number;
  /** 1 at first delivery in this process. */
  readonly attempt: number;
}

export interface Origin {
  readonly cluster: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
}

export interface Emitted {
  /** An output of the stage, by the stage's own name for it. */
  readonly output: string;
  readonly key: string | null;
  readonly value: unknown;
  /** Only for an addressed output (replies). */
  readonly partition?: number;
  /** What a later stage must know that is not the record's content; the trace comes by itself. */
  readonly headers?: Headers;
}

export type Outcome =
  | { readonly kind: 'emit'; readonly records: readonly Emitted[] }
  /** Done without a result, on purpose; recorded, not dead-lettered. */
  | { readonly kind: 'drop'; readonly reason: DropReason; readonly detail?: string }
  /** The record is at fault: its original bytes go to the dead letters of its topic. */
  | { readonly kind: 'reject'; readonly error: SaccadeError }
  /** The environment is at fault: the runtime backs off and offers the record again. */
  | { readonly kind: 'retry'; readonly error: SaccadeError };

export type DropReason = 'deadline' | 'superseded';

export const emit = (...records: Emitted[]): Outcome => ({ kind: 'emit', records });
export const drop = (reason: DropReason, detail?: string): Outcome =>
  detail === undefined ? { kind: 'drop', reason } : { kind: 'drop', reason, detail };
export const reject = (error: SaccadeError): Outcome => ({ kind: 'reject', error });
export const retry = (error: SaccadeError): Outcome => ({ kind: 'retry', error });
/** A reject or a retry, as the error's own row in the table says. */
export const failed = (error: SaccadeError): Outcome => (error.retryable ? retry(error) : reject(error));

/** Why an input ended without a result of the stage. */
export interface Failure {
  readonly status: 'dropped' | 'dead_lettered';
  readonly reason: string;
  readonly detail: string;
  readonly stage: string;
  readonly at: number;
}

export interface BatchPolicy {
  /** Records a call of `process` gets at most. */
  readonly records: number;
  readonly bytes: number;
  /** How long the first record of a batch may wait for company. 0: never wait, take what has gathered. */
  readonly waitMs: number;
  /** It does not wait on when none has joined for so long; 0 or absent: it does. */
  readonly quietMs?: number;
  /** Calls of `process` under way at once. */
  readonly concurrency: number;
}

/**
 * Runs native code on these inputs, in which a record can end the whole process: they are journalled while `run` lasts, so
 * that such a record is found. Only that code belongs in `run`: who waits there for the environment, and is killed from
 * outside, comes under suspicion for nothing.
 */
export type Guard = <R>(inputs: readonly Pick<Input, 'origin'>[], run: () => Promise<R>) => Promise<R>;
export const unguarded: Guard = (_inputs, run) => run();

export interface Stage<T = unknown> {
  readonly name: string;
  readonly batch: BatchPolicy;
  /** Brings up what `process` needs (models, pools). The stage is not ready, and consumes nothing, until it resolves. */
  start?(): Promise<void>;
  /**
   * One outcome for each input, in the order of the inputs. May throw: the runtime then finds the culprit by bisection.
   * `signal` is one for each generation of the consumer group: another one means that partitions may have come or gone.
   */
  process(batch: readonly Input<T>[], signal: AbortSignal, guard?: Guard): Promise<readonly Outcome[]>;
  /** When this input is no longer worth work (milliseconds since the epoch), or null. Past it the runtime drops it unprocessed. */
  deadline?(input: Input<T>): number | null;
  /** The source an input is from; its key unless given. One made up for each record would give each a vote of its own on halting the stage. */
  source?(input: Input<T>): string;
  /** What a failed input leaves on the outputs, so that every accepted frame is accounted for and whoever asked is told. */
  account?(input: Input<T>, failure: Failure): readonly Emitted[];
  /** A value it emitted is done with: written to the log, or handed to a fused stage that has settled it. Its memory may be used again. */
  spent?(value: unknown): void;
  /** Why the stage cannot work at present, for `/ready`; null when it can. */
  trouble?(): string | null;
  /** It holds its work back on purpose, however long: no standstill, which a new process would mend. */
  resting?(): boolean;
  /** The process ends, and gives the batches under way some seconds: who waits for the environment by itself answers `retry` now. */
  drain?(): void;
  stop?(): Promise<void>;
}
