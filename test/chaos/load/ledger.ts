/** The book of the run: what was offered, what became of the offer, and which outcomes are still owed. */
import { createHash } from 'node:crypto';
import { frameIdFromProducer, frameIdFromRequest, predictionId } from '../../../schemas/ids.ts';
import { type FrameKind, kinds } from './kinds.ts';

/** acknowledged: the pipeline has said that it has it; refused: that it has not; unacknowledged: nobody knows. */
export type State = 'waiting' | 'acknowledged' | 'refused' | 'unacknowledged';

export interface OfferedFrame {
  /** The producer's own id, or the Idempotency-Key: unique in the run. */
  readonly key: string;
  readonly kind: FrameKind;
  readonly source: string;
  readonly frameId: string;
  /** Asked for; each is owed an outcome. */
  readonly models: readonly string[];
  /** SHA-256 of the bytes as they were offered, in hex. */
  readonly digest: string;
  readonly offeredAt: number;
  state: State;
  acknowledgedAt: number | null;
}

export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export interface Ledger {
  readonly frames: ReadonlyMap<string, OfferedFrame>;
  offer(frame: { key: string; kind: FrameKind; source: string; models: readonly string[]; bytes: Uint8Array }): OfferedFrame;
  acknowledge(frame: OfferedFrame): void;
  settle(frame: OfferedFrame, state: 'refused' | 'unacknowledged'): void;
  /** Outcomes found in the store, by their id. Repeats do no harm here: they are counted at the end. */
  stored(ids: Iterable<string>): void;
  /** Ids of the outcomes that acknowledged frames are owed and that have not been seen in the store. */
  owed(): ReadonlyMap<string, OfferedFrame>;
  counts(): Record<State, number> & { offered: number };
}

export const outcomeIds = (frame: OfferedFrame): string[] => frame.models.map((model) => predictionId(frame.frameId, model));

export function createLedger(tenant: string, now: () => number = Date.now): Ledger {
  const frames = new Map<string, OfferedFrame>();
  const owed = new Map<string, OfferedFrame>();
  const seen = new Set<string>();

  return {
    frames,
    offer({ bytes, ...frame }) {
      const digest = digestOf(bytes);
      const offered: OfferedFrame = {
        ...frame,
        frameId: kinds[frame.kind].via === 'http' ? frameIdFromRequest(tenant, frame.source, frame.key, digest) : frameIdFromProducer(tenant, frame.source, frame.key),
        digest,
        offeredAt: now(),
        state: 'waiting',
        acknowledgedAt: null,
      };
      frames.set(frame.key, offered);
      return offered;
    },
    acknowledge(frame) {
      if (frame.state === 'acknowledged') return;
      frame.state = 'acknowledged';
      frame.acknowledgedAt = now();
      for (const id of outcomeIds(frame)) if (!seen.has(id)) owed.set(id, frame);
    },
    settle(frame, state) {
      if (frame.state === 'waiting') frame.state = state;
    },
    stored(ids) {
      for (const id of ids) {
        seen.add(id);
        owed.delete(id);
      }
    },
    owed: () => owed,
    counts() {
      const counts = { offered: frames.size, waiting: 0, acknowledged: 0, refused: 0, unacknowledged: 0 };
      for (const { state } of frames.values()) counts[state] += 1;
      return counts;
    },
  };
}
