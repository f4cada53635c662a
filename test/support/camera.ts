/** What the tests of the cameras share: clocks, and a producer that keeps what it is sent. */
import type { Clock, LogProducer, OutgoingRecord } from '../../connectors/ports.ts';

export const quiet = { info: () => undefined, warn: () => undefined };

export const realClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const timer = setTimeout(done, ms);
      function done(): void {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      }
      signal?.addEventListener('abort', done);
    }),
};

/** Time jumps to the end of each sleep. */
export function jumpingClock(): Clock & { slept: number[] } {
  let now = 1_700_000_000_000;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    async sleep(ms) {
      slept.push(ms);
      now += ms;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** A producer at the port, which the test can make fail or wait. */
export function collectingProducer(before: (records: readonly OutgoingRecord[]) => Promise<void> = async () => undefined) {
  const records: OutgoingRecord[] = [];
  const producer: LogProducer = {
    async send(batch) {
      await before(batch);
      records.push(...batch);
    },
    close: async () => undefined,
  };
  return { producer, records };
}

export const sequences = (records: readonly OutgoingRecord[]): number[] => records.map((r) => Number(r.headers!.sequence));

export async function until(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** A promise to be opened from outside. */
export function gate(): { promise: Promise<void>; open: () => void } {
  let open!: () => void;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}
