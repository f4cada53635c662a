/** How long each fault was felt: from its end until everything that was acknowledged by then has its outcome in the store. */
import type { Ledger } from '../load/ledger.ts';
import type { Fault } from '../faults/plan.ts';

export interface Watched {
  readonly fault: Fault;
  readonly beganAt: number;
  endedAt: number | null;
  recoveredAt: number | null;
}

export interface Recovery {
  readonly fault: Fault;
  /** Seconds; null: not recovered when the run ended. */
  readonly seconds: number | null;
  /** The same from the fault's own end, whatever other fault was felt meanwhile. */
  readonly fromOwnEnd: number | null;
  /** Another fault ended between this one's end and its recovery: `seconds` counts from that one's end. */
  readonly overlapped: boolean;
}

export interface RecoveryWatch {
  began(fault: Fault): void;
  ended(fault: Fault): void;
  /** To be called after each look into the store; answers what has been recovered from by now. */
  looked(): readonly Watched[];
  /** Faults that are being recovered from, or under way. */
  open(): readonly Watched[];
  results(): Recovery[];
}

export function recoveryWatch(ledger: Ledger, now: () => number = Date.now): RecoveryWatch {
  const watched: Watched[] = [];
  const owedAtEnd = new Map<Watched, Set<string>>();

  return {
    began: (fault) => void watched.push({ fault, beganAt: now(), endedAt: null, recoveredAt: null }),
    ended(fault) {
      const one = watched.find((each) => each.fault === fault)!;
      one.endedAt = now();
      owedAtEnd.set(one, new Set(ledger.owed().keys()));
    },
    looked() {
      const owed = ledger.owed();
      const recovered: Watched[] = [];
      for (const [one, ids] of owedAtEnd) {
        for (const id of ids) if (!owed.has(id)) ids.delete(id);
        if (ids.size > 0) continue;
        one.recoveredAt = now();
        owedAtEnd.delete(one);
        recovered.push(one);
      }
      return recovered;
    },
    open: () => watched.filter(({ recoveredAt }) => recoveredAt === null),
    results: () => watched.map((one) => recovery(one, watched)),
  };
}

/** What is owed cannot come before every fault is over that keeps it back: the time counts from the last end before the recovery. */
export function recovery({ fault, endedAt, recoveredAt }: Watched, all: readonly Watched[]): Recovery {
  if (endedAt === null || recoveredAt === null) return { fault, seconds: null, fromOwnEnd: null, overlapped: false };
  const later = all.flatMap((other) => (other.endedAt !== null && other.endedAt > endedAt && other.endedAt <= recoveredAt ? [other.endedAt] : []));
  const from = Math.max(endedAt, ...later);
  return { fault, seconds: (recoveredAt - from) / 1000, fromOwnEnd: (recoveredAt - endedAt) / 1000, overlapped: later.length > 0 };
}
