/** Forms batches, in the one place where batches are formed: first in, first out, within the limits of the policy. */
import type { BatchPolicy } from '../stage.ts';

export interface Queued {
  readonly bytes: number;
  /** Milliseconds since the epoch when it joined the queue. */
  readonly queuedAt: number;
}

export interface BatchQueue<W extends Queued> {
  push(work: W): void;
  /** Back to the head, in the order given: work to be tried again goes before newer work. */
  putBack(works: readonly W[]): void;
  /** A batch, if one is due; a full one is due at once, a smaller one when its oldest work has waited `waitMs`, or none has joined for `quietMs`. */
  take(now: number): W[];
  /** When take() will have something: 0 for now, null for an empty queue. */
  dueIn(now: number): number | null;
  /** Removes and answers what the test picks. */
  discard(test: (work: W) => boolean): W[];
  readonly size: number;
}

export function batchQueue<W extends Queued>(policy: BatchPolicy): BatchQueue<W> {
  let queue: W[] = [];
  let bytes = 0;

  const full = () => queue.length >= policy.records || bytes >= policy.bytes;

  function dueIn(now: number): number | null {
    const oldest = queue[0];
    if (!oldest) return null;
    // Older than now can't be: the clock was set back, and waiting for it to catch up may take hours.
    if (full() || oldest.queuedAt > now) return 0;
    const quietAt = policy.quietMs ? queue.at(-1)!.queuedAt + policy.quietMs : Infinity;
    return Math.max(0, Math.min(oldest.queuedAt + policy.waitMs, quietAt) - now);
  }

  return {
    push(work) {
      queue.push(work);
      bytes += work.bytes;
    },
    putBack(works) {
      queue = [...works, ...queue];
      for (const work of works) bytes += work.bytes;
    },
    dueIn,
    take(now) {
      if (dueIn(now) !== 0) return [];
      let count = 0;
      let taken = 0;
      while (count < queue.length && count < policy.records) {
        const next = queue[count]!.bytes;
        if (count > 0 && taken + next > policy.bytes) break;
        taken += next;
        count += 1;
      }
      bytes -= taken;
      return queue.splice(0, count);
    },
    discard(test) {
      const gone = queue.filter(test);
      if (gone.length > 0) {
        queue = queue.filter((work) => !test(work));
        for (const work of gone) bytes -= work.bytes;
      }
      return gone;
    },
    get size() {
      return queue.length;
    },
  };
}
