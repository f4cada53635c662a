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
  /** Seconds from the fault's end, less those in which another fault was in force; null: not recovered when the run ended. */
  readonly seconds: number | null;
  /** The same with them. */
  readonly fromOwnEnd: number | null;
  /** Another fault was in force meanwhile. */
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

/**
 * What is owed cannot come while another fault keeps it back, so the time in which one was in force is taken off; what that
 * one leaves behind, its backlog and the time of its own recovery, is not.
 */
export function recovery({ fault, endedAt, recoveredAt }: Watched, all: readonly Watched[]): Recovery {
  if (endedAt === null || recoveredAt === null) return { fault, seconds: null, fromOwnEnd: null, overlapped: false };
  const others = all
    .filter((other) => other.fault !== fault)
    .map((other) => ({ from: Math.max(other.beganAt, endedAt), to: Math.min(other.endedAt ?? recoveredAt, recoveredAt) }))
    .filter(({ from, to }) => from < to)
    .sort((a, b) => a.from - b.from);
  let inForce = 0;
  let counted = endedAt;
  for (const { from, to } of others) {
    inForce += Math.max(0, to - Math.max(from, counted));
    counted = Math.max(counted, to);
  }
  const fromOwnEnd = recoveredAt - endedAt;
  return { fault, seconds: (fromOwnEnd - inForce) / 1000, fromOwnEnd: fromOwnEnd / 1000, overlapped: others.length > 0 };
}
