/** Bytes in memory over all sessions: of frames in hand, or of outcomes kept. */

export interface Budget {
  readonly held: number;
  /** More is in hand than should be: nothing is refused by this, whoever takes asks first. */
  readonly over: boolean;
  take(bytes: number): void;
  give(bytes: number): void;
  /** Calls back once, when there is room again. */
  whenFree(callback: () => void): void;
}

/** `relieve` lets something go that is worth less than what is taken; false: there is nothing left of the kind. */
export function createBudget(limit: number, relieve: () => boolean = () => false): Budget {
  let held = 0;
  let waiting: (() => void)[] = [];
  return {
    get held() {
      return held;
    },
    get over() {
      return held > limit;
    },
    take(bytes) {
      held += bytes;
      while (held > limit && relieve());
    },
    give(bytes) {
      held -= bytes;
      if (held > limit || waiting.length === 0) return;
      const woken = waiting;
      waiting = [];
      for (const callback of woken) callback();
    },
    whenFree: (callback) => void waiting.push(callback),
  };
}
