/** The reader behind the hop. kafkajs reads what is committed, unless told otherwise. */
import type { Log } from '../../connectors/ports.ts';

export interface Downstream {
  /** When each key was first seen, by performance.now(). */
  readonly seen: ReadonlyMap<string, number>;
  repeats(): number;
  /** Resolves when so many keys have been seen. */
  reached(count: number): Promise<void>;
  close(): Promise<void>;
}

export async function watchDownstream(log: Log, topic: string, group: string): Promise<Downstream> {
  const seen = new Map<string, number>();
  let repeats = 0;
  let target = Number.POSITIVE_INFINITY;
  let done: (() => void) | undefined;
  const consumer = await log.consumer({
    group,
    topics: [topic],
    from: 'latest',
    maxBytes: 16 * 1024 * 1024,
    maxBytesPerPartition: 4 * 1024 * 1024,
    handlers: {
      assigned() {},
      records(_generation, _source, records) {
        const now = performance.now();
        for (const { key } of records) {
          if (seen.has(String(key))) repeats += 1;
          else seen.set(String(key), now);
        }
        if (seen.size >= target) done?.();
      },
    },
  });
  return {
    seen,
    repeats: () => repeats,
    reached(count) {
      return new Promise((resolve) => {
        [target, done] = [count, resolve];
        if (seen.size >= count) resolve();
      });
    },
    close: () => consumer.close(),
  };
}
