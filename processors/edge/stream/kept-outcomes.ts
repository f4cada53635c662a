/** Outcomes a client has not acknowledged, as JSON, oldest first: what it is told again when it comes back. */

export interface KeptOutcomes {
  readonly bytes: number;
  add(sequence: number, json: string): void;
  /** The client has everything up to this one. */
  acknowledge(sequence: number): void;
  /** In order. */
  all(): Iterable<string>;
  /** The highest sequence whose outcome was let go without being acknowledged; null: none. */
  readonly missingTo: number | null;
}

/** A client that never acknowledges costs no more than the limits; what is let go for them is the oldest. */
export function keptOutcomes(limits: { readonly keepResults: number; readonly keepBytes: number }): KeptOutcomes {
  const kept = new Map<number, string>();
  let bytes = 0;
  let missingTo: number | null = null;

  function forget(sequence: number): void {
    bytes -= kept.get(sequence)?.length ?? 0;
    kept.delete(sequence);
  }

  return {
    get bytes() {
      return bytes;
    },
    get missingTo() {
      return missingTo;
    },
    add(sequence, json) {
      kept.set(sequence, json);
      bytes += json.length;
      for (const oldest of kept.keys()) {
        // The last one stays, however large it is.
        if (kept.size === 1 || (kept.size <= limits.keepResults && bytes <= limits.keepBytes)) break;
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
  };
}
