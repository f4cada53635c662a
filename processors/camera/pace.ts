import type { Clock } from '../../connectors/ports.ts';

/**
 * Call it before each frame: it waits until the frame is due, `fps` a second. After a stall (a slow disk, a full log) it
 * goes on from there instead of making up for lost time in a burst.
 */
export function paced(clock: Clock, signal: AbortSignal, fps: number): () => Promise<void> {
  const step = 1000 / fps;
  let due = clock.now();
  return async () => {
    const wait = due - clock.now();
    if (wait > 0) await clock.sleep(wait, signal);
    due = Math.max(due, clock.now() - step) + step;
  };
}
