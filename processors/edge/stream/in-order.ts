/** Outcomes in the order of their frames: each waits for those before it. */
import type { StreamOutcome } from './protocol.ts';

export interface InOrder {
  /** Frames whose outcome is not known, or has not been given out. */
  readonly size: number;
  /** A frame that will have an outcome; sequence numbers rise. */
  expect(sequence: number): void;
  /** What became of a frame; nothing is kept of one that is not expected. */
  settle(outcome: StreamOutcome): void;
  /** Gives out the next in order; null: it is not known yet, or there is none. */
  next(): StreamOutcome | null;
  /** Nobody wants the outcomes up to this one any more. */
  forget(upTo: number): void;
  sequences(): number[];
}

export function inOrder(): InOrder {
  /** By sequence, in its order; null: not known yet. */
  const pending = new Map<number, StreamOutcome | null>();
  return {
    get size() {
      return pending.size;
    },
    expect: (sequence) => void pending.set(sequence, null),
    settle(outcome) {
      if (pending.has(outcome.sequence)) pending.set(outcome.sequence, outcome);
    },
    next() {
      const outcome = pending.values().next().value ?? null;
      if (outcome) pending.delete(outcome.sequence);
      return outcome;
    },
    forget(upTo) {
      for (const sequence of pending.keys()) {
        if (sequence > upTo) break;
        pending.delete(sequence);
      }
    },
    sequences: () => [...pending.keys()],
  };
}
