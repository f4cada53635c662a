/**
 * All that is known of one source: the windows of its streams, its alert, and how far in the log that goes. It is written into
 * a topic beside the results, so that whoever is given the partition next goes on from there and counts nothing twice.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Emitted, Origin } from '../stage.ts';
import { noWatch, type Watch } from './alerts.ts';
import type { Windows } from './windows.ts';

/** What has been handed to the runtime and may not have arrived. */
interface Sent {
  /** The input with which it left: once the group's position is behind it, it has arrived. */
  readonly offset: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly emitted: Emitted;
}

export interface SourceState {
  readonly tenant: string;
  readonly source: string;
  partition: number;
  /** The next offset to be counted. */
  next: number;
  /** The newest timestamp of a record counted. */
  timestamp: number;
  /** By `model@version`. */
  readonly streams: Record<string, Windows>;
  readonly watch: Watch;
  sent: Sent[];
}

/** How long results are kept to be sent again: far longer than the log takes to acknowledge a batch. */
const settleMs = 120_000;
/** A version of a model that has not answered for so long is forgotten. */
const forgetMs = 7 * 86_400_000;

export const stateKey = (tenant: string, source: string): string => `${tenant}/${source}`;

export const newState = (tenant: string, source: string, partition: number): SourceState =>
  ({ tenant, source, partition, next: 0, timestamp: 0, streams: {}, watch: noWatch(), sent: [] });

/**
 * Whether this record is counted in the state already: it came before. A topic that was created anew counts its offsets from 0
 * again; what is newer than anything counted cannot have been counted.
 */
export const isCounted = ({ partition, next, timestamp }: SourceState, at: Origin): boolean => at.partition === partition && at.offset < next && at.timestamp <= timestamp;

export function passed(state: SourceState, at: Origin): void {
  // Partitions were added, or the topic is a new one.
  state.partition = at.partition;
  state.next = at.offset + 1;
  state.timestamp = Math.max(state.timestamp, at.timestamp);
}

/** Leaves out what no later process needs. */
export function tidy(state: SourceState, now: number): void {
  state.sent = state.sent.filter(({ at }) => now - at < settleMs);
  const newest = Math.max(...Object.values(state.streams).map(({ watermark }) => watermark));
  for (const [name, { watermark }] of Object.entries(state.streams)) if (newest - watermark > forgetMs) delete state.streams[name];
}

export function packState(state: SourceState): Buffer {
  return deflateRawSync(
    JSON.stringify(state, (_key, value: unknown) => {
      // A Buffer, as JSON.stringify hands it over.
      const bytes = value as { type?: unknown; data?: number[] } | null;
      return bytes !== null && typeof bytes === 'object' && bytes.type === 'Buffer' && Array.isArray(bytes.data) ? { base64: Buffer.from(bytes.data).toString('base64') } : value;
    }),
    { level: 3 },
  );
}

/** Throws undecodable_record. */
export function unpackState(bytes: Uint8Array): SourceState {
  try {
    return JSON.parse(inflateRawSync(bytes).toString(), (_key, value: unknown) => {
      const text = (value as { base64?: unknown } | null)?.base64;
      return typeof text === 'string' ? Buffer.from(text, 'base64') : value;
    }) as SourceState;
  } catch (error) {
    throw new SaccadeError('undecodable_record', `The state of a source: ${(error as Error).message}.`, error);
  }
}
