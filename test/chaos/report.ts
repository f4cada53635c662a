/** What the run found, for a person and, in the last line, for a program. */
import type { Recovery } from './watch/recovery.ts';
import type { FaultKind } from './faults/plan.ts';
import type { Offence, Verdict } from './judge/judge.ts';
import type { Ledger } from './load/ledger.ts';
import { nameOf } from './watch/progress.ts';

export interface Findings {
  readonly seed: number;
  readonly minutes: number;
  readonly ledger: Ledger;
  readonly verdict: Verdict;
  readonly duplicates: Readonly<Record<string, number>>;
  readonly rollupsEqual: boolean | null;
  readonly recoveries: readonly Recovery[];
  /** Times that a stage ended though nobody had killed it. */
  readonly selfEnded: number;
  readonly leftOut: readonly FaultKind[];
}

const round = (seconds: number): number => Math.round(seconds * 10) / 10;
/** Of all values, one that was never reached counting as the longest. */
function quantile(values: readonly (number | null)[], q: number): number | null {
  const sorted = values.map((value) => value ?? Infinity).sort((a, b) => a - b);
  const at = sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)];
  return at === undefined || at === Infinity ? null : round(at);
}

const count = (offences: readonly Offence[], what: Offence['what']): number => offences.filter((one) => one.what === what).length;
const total = (numbers: Readonly<Record<string, number>>): number => Object.values(numbers).reduce((sum, n) => sum + n, 0);

/** A run that nothing came through proves nothing. */
export function passed({ ledger, verdict, duplicates, rollupsEqual }: Findings): boolean {
  return ledger.counts().acknowledged > 0 && verdict.offences.length === 0 && total(duplicates) === 0 && rollupsEqual !== false;
}

/** The last line. Frames: offered = acknowledged + refused + unacknowledged. Outcomes, of frames and models: stored, dropped, dead_lettered, lost. */
export function summary(found: Findings): Record<string, unknown> {
  const { ledger, verdict, duplicates, recoveries } = found;
  const { offered, acknowledged, refused, unacknowledged } = ledger.counts();
  const kindsMade = [...new Set(recoveries.map(({ fault }) => fault.kind))];
  const ofKind = (kind: FaultKind): readonly Recovery[] => recoveries.filter(({ fault }) => fault.kind === kind);
  const seconds = recoveries.map((one) => one.seconds);
  const alone = recoveries.filter((one) => !one.overlapped);
  return {
    offered,
    acknowledged,
    refused,
    unacknowledged,
    stored: verdict.stored,
    dropped: verdict.dropped,
    dead_lettered: verdict.deadLettered,
    duplicates: total(duplicates) + count(verdict.offences, 'repeated'),
    lost: count(verdict.offences, 'lost'),
    good_dead_lettered: count(verdict.offences, 'good_dead_lettered'),
    undeserved: count(verdict.offences, 'undeserved'),
    never_offered: count(verdict.offences, 'never_offered'),
    letters_missing: count(verdict.offences, 'letter_missing') + count(verdict.offences, 'letter_altered'),
    refused_but_stored: count(verdict.offences, 'refused_but_stored'),
    kills: ofKind('kill').length,
    recovery_seconds_p95: quantile(seconds, 0.95),
    recovery_seconds_max: quantile(seconds, 1),
    recovery_seconds_p95_from_own_end: quantile(recoveries.map((one) => one.fromOwnEnd), 0.95),
    recovery_seconds_max_by_kind: Object.fromEntries(kindsMade.map((kind) => [kind, quantile(ofKind(kind).map((one) => one.seconds), 1)])),
    recovery_seconds_p95_alone: quantile(alone.map((one) => one.seconds), 0.95),
    recovered_alone: alone.length,
    rollups_equal: found.rollupsEqual,
    seed: found.seed,
    minutes: found.minutes,
    faults: Object.fromEntries(kindsMade.map((kind) => [kind, ofKind(kind).length])),
    left_out: found.leftOut,
    stages_ended_by_themselves: found.selfEnded,
  };
}

export function recoveryTable(recoveries: readonly Recovery[]): string[] {
  return recoveries.map(({ fault, seconds, fromOwnEnd, overlapped }) => {
    const felt = seconds === null ? 'NOT RECOVERED' : `${round(seconds).toFixed(1).padStart(6)} s`;
    return `  ${nameOf(fault).padEnd(32)} ${felt}${overlapped ? `  (${round(fromOwnEnd!)} s with those in which another fault was in force)` : ''}`;
  });
}
