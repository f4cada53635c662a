/**
 * Which records of a topic have left a lane behind it for good, found from offsets alone. A mark pairs what ingest has
 * committed (so its frames lie in the lane) with the lane's end at that moment: once the lane's reader has committed past
 * that end, everything below the mark has left the lane, whichever process did it.
 */

/** A partition of the lane: from where its group has work to do, and where it ends now. */
export interface LanePartition {
  readonly partition: number;
  readonly from: number;
  readonly end: number;
}

export interface PassageOptions {
  /** What ingest has committed in its own topic, by partition. */
  committed(): Promise<readonly { readonly partition: number; readonly offset: number }[]>;
  lane(): Promise<readonly LanePartition[]>;
}

export interface Passage {
  /** Looks at the log once. Throws log_unavailable. */
  look(): Promise<void>;
  /** Whether all records of ingest's partition below `offset` have left the lane. What is true stays true. */
  passed(partition: number, offset: number): boolean;
}

interface Mark {
  readonly below: ReadonlyMap<number, number>;
  readonly ends: readonly LanePartition[];
}

/** Marks that wait to be passed; with that many no new one is set until the oldest has been passed. */
const mostMarks = 32;

export function passage({ committed, lane }: PassageOptions): Passage {
  const marks: Mark[] = [];
  const cleared = new Map<number, number>();

  return {
    async look() {
      // In this order: what was committed before the end was read lies below that end.
      const below = new Map((await committed()).map(({ partition, offset }) => [partition, offset]));
      const now = await lane();
      const reached = new Map(now.map(({ partition, from }) => [partition, from]));
      if (marks.length < mostMarks) marks.push({ below, ends: now });
      // All partitions of the lane: the key may fall on another one there than in ingest's topic.
      const left = ({ ends }: Mark): boolean => ends.every(({ partition, end }) => (reached.get(partition) ?? end) >= end);
      while (marks[0] && left(marks[0])) {
        for (const [partition, offset] of marks.shift()!.below) cleared.set(partition, Math.max(cleared.get(partition) ?? 0, offset));
      }
    },
    passed: (partition, offset) => (cleared.get(partition) ?? 0) >= offset,
  };
}
