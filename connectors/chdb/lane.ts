/** At most so many at once, in order of arrival; so inserts and reads each keep threads of their own. */

export interface Lane {
  /** Runs `work` when it is its turn. Throws LaneFull at once when too many wait already. */
  run<T>(work: () => Promise<T>): Promise<T>;
  readonly waiting: number;
}

export class LaneFull extends Error {}

export function lane(atOnce: number, mayWait: number): Lane {
  const queue: (() => void)[] = [];
  let running = 0;
  return {
    async run(work) {
      if (running >= atOnce) {
        if (queue.length >= mayWait) throw new LaneFull();
        // Whoever leaves hands its place over, so `running` does not change in between.
        await new Promise<void>((turn) => queue.push(turn));
      } else running++;
      try {
        return await work();
      } finally {
        const next = queue.shift();
        if (next) next();
        else running--;
      }
    },
    get waiting() {
      return queue.length;
    },
  };
}
