/** Outcomes a client has not acknowledged, as JSON, oldest first: what it is told again when it comes back. */
import type { Budget } from './budget.ts';

export interface KeptOutcomes {
  add(sequence: number, json: string): void;
  /** The client has everything up to this one. */
  acknowledge(sequence: number): void;
  /** In order. */
  all(): Iterable<string>;
  /** None of it will be asked for. */
  clear(): void;
  /** The highest sequence whose outcome was let go without being acknowledged; null: none. */
  readonly missingTo: number | null;
}

/**
 * A client that never acknowledges costs no more than the limits, and all clients together no more than the budget; what is
 * let go for them is the oldest.
 */
export function keptOutcomes(limits: { readonly keepResults: number; readonly keepBytes: number }, budget: Budget): KeptOutcomes {
  const kept = new Map<number, string>();
  let bytes = 0;
  let missingTo: number | null = null;

  function forget(sequence: number): void {
    const size = kept.get(sequence)!.length;
    bytes -= size;
    budget.give(size);
    kept.delete(sequence);
  }

  return {
    get missingTo() {
      return missingTo;
    },
    add(sequence, json) {
      kept.set(sequence, json);
      bytes += json.length;
      budget.take(json.length);
      for (const oldest of kept.keys()) {
        // The last one stays, however large it is.
        if (kept.size === 1 || (kept.size <= limits.keepResults && bytes <= limits.keepBytes && !budget.over)) break;
        forget(oldest);
        missingTo = oldest;
      }
    },
    acknowledge(sequence) {
      for (const oldest of kept.keys()) {
        if (oldest > sequence) break;
        forget(oldest);
      }
      if (missingTo !== null && missingTo <= sequence) missingTo = null;
    },
    all: () => kept.values(),
    clear() {
      for (const sequence of kept.keys()) forget(sequence);
    },
  };
}
