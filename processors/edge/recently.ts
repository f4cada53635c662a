/** How often something has happened of late: two numbers, however often that is. */
import type { Clock } from '../../connectors/ports.ts';

export interface Recently {
  add(): void;
  /** Within the last `spanMs`, about: of the span before the one that runs, as much as reaches into it. */
  count(): number;
}

export function recently(clock: Pick<Clock, 'now'>, spanMs: number): Recently {
  let [startedAt, current, before] = [clock.now(), 0, 0];

  /** How much of the running span is over, 0 to 1. */
  function over(): number {
    const spans = (clock.now() - startedAt) / spanMs;
    if (spans >= 0 && spans < 1) return spans;
    // A clock that was set back tells nothing of what was before.
    [startedAt, before, current] = spans >= 1 && spans < 2 ? [startedAt + spanMs, current, 0] : [clock.now(), 0, 0];
    return (clock.now() - startedAt) / spanMs;
  }

  return {
    add() {
      over();
      current += 1;
    },
    count() {
      const part = over();
      return current + before * (1 - part);
    },
  };
}
