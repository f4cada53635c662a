/**
 * The only source of time and of order: events run one after another at their virtual time, and all that an event sets off
 * (every promise it settles, and what follows from that) has happened before the next one.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface Timer {
  cancel(): void;
}

export interface Scheduler {
  /** Virtual milliseconds since the beginning. */
  readonly now: number;
  /** Events run so far. */
  readonly count: number;
  after(ms: number, run: () => void): Timer;
  /** Runs events until the test says so (asked after each), or until nothing is left that could happen. */
  run(done: () => boolean): Promise<'done' | 'idle'>;
}

interface Event {
  readonly at: number;
  readonly number: number;
  run: (() => void) | null;
}

/** Node tells of rejections nobody handled only between turns of its event loop, so it must get one now and then. */
const eventsPerTurn = 256;

export function scheduler(): Scheduler {
  const heap: Event[] = [];
  let now = 0;
  let number = 0;
  let count = 0;

  const earlier = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.number < b.number);

  function push(event: Event): void {
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!earlier(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  function pop(): Event | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child += 1;
      if (!earlier(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }

  return {
    get now() {
      return now;
    },
    get count() {
      return count;
    },
    after(ms, run) {
      const event: Event = { at: now + Math.max(0, ms), number: number++, run };
      push(event);
      return { cancel: () => void (event.run = null) };
    },
    async run(done) {
      while (!done()) {
        const event = pop();
        if (event === undefined) return 'idle';
        if (event.run === null) continue;
        now = event.at;
        count += 1;
        event.run();
        // A tick comes when the queue of microtasks is empty: everything this event set off is over.
        await new Promise<void>((resolve) => process.nextTick(resolve));
        if (count % eventsPerTurn === 0) await nextTurn();
      }
      return 'done';
    },
  };
}
