/** What a chain runner is given and what it offers: the seam between one chain and the process it runs in. */
import type { BlobStore, Clock, Log, LogProducer, SchemaRegistry } from '../../connectors/ports.ts';
import type { Branches } from './branches.ts';
import type { RatioLimit } from './dead-letter-ratio.ts';
import type { Logger } from './logger.ts';
import type { RuntimeMetrics } from './metrics.ts';
import type { PausableProducer } from './pausable-producer.ts';
import type { Quarantine } from './quarantine.ts';
import type { Chain } from './wiring.ts';

export interface ChainRunnerOptions {
  readonly chain: Chain;
  readonly log: Log;
  readonly producer: LogProducer & Partial<Pick<PausableProducer, 'held'>>;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly metrics: RuntimeMetrics;
  readonly logger: Logger;
  readonly limits: RuntimeLimits;
  /** Takes the bytes of dead letters that are larger than a record may be. */
  readonly blobs?: Pick<BlobStore, 'put'> | undefined;
  readonly random?: () => number;
  /** Of the whole process: a suspect is alone in all of it. */
  readonly quarantine?: Quarantine | undefined;
  /** Tells whoever watches the process, beside the log. */
  readonly announce?: ((line: string) => void) | undefined;
}

export interface RuntimeLimits {
  /** Bytes a runner holds before it pauses fetching; a fetch already under way comes on top. */
  readonly inFlightBytes: number;
  readonly fetchBytes: number;
  readonly fetchBytesPerPartition: number;
  readonly maxRecordBytes: number;
  readonly commitIntervalMs: number;
  /** How much may be dead-lettered before a stage halts; any amount unless given. */
  readonly deadLetters?: RatioLimit | null;
  /** How long work may stand still without a known reason; for ever unless given. */
  readonly stuckAfterMs?: number | null;
}

export interface ChainRunner extends Pick<Branches, 'steps' | 'takeIn' | 'letGo' | 'waits'> {
  readonly name: string;
  /** Resolves once the group has been joined. */
  start(): Promise<void>;
  /** Fetches no more, finishes what runs, commits, leaves the group. What has not finished after `limitMs` is left to the next owner. */
  stop(limitMs: number): Promise<void>;
  /** Why no progress is made at present, by the stage where it is: of the whole chain by its first. */
  troubles(): Record<string, string>;
  /** How long no progress has been made without a reason, in words, or null: then a new process may fare better. */
  stuck(): string | null;
}
