/** What comes by, as something to wait for: bounded, for a reader that is slower than the stream. */
import { SaccadeError } from '../../../connectors/errors.ts';

const mostWaiting = 256;

/** Those that `take` makes something of. Ends with overloaded when the reader is too far behind: a gap would go unseen. */
export function feed<T, S>(follow: (listener: (value: T) => void) => () => void, take: (value: T) => S | null): AsyncGenerator<S> {
  const waiting: S[] = [];
  let behind = false;
  let ended = false;
  let wake = (): void => {};
  const stop = follow((value) => {
    const taken = take(value);
    if (taken === null || behind) return;
    if (waiting.length >= mostWaiting) behind = true;
    else waiting.push(taken);
    wake();
  });

  async function* values(): AsyncGenerator<S> {
    try {
      while (!ended) {
        const next = waiting.shift();
        if (next !== undefined) yield next;
        else if (behind) throw new SaccadeError('overloaded', `More than ${mostWaiting} predictions waited to be read.`);
        else await new Promise<void>((woken) => (wake = woken));
      }
    } finally {
      stop();
    }
  }
  const inner = values();
  // A generator that waits hears of no return(): it is woken first, and lets go at once what it followed.
  return Object.assign(inner, {
    return: async (value: unknown) => {
      ended = true;
      stop();
      wake();
      return { done: true as const, value: value as S };
    },
  });
}
