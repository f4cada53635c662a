/** What a person watches: each fault as it begins and ends, and every few seconds the rates and what is behind. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../connectors/ports.ts';
import type { Fault } from '../faults/plan.ts';
import type { Ledger } from '../load/ledger.ts';

const everyMs = 5_000;

export const nameOf = ({ kind, target, how }: Fault): string => [kind, target ?? '', how ?? ''].filter((word) => word !== '').join(' ');

export interface ProgressOptions {
  readonly log: Log;
  readonly ledger: Ledger;
  readonly groups: readonly { readonly stage: string; readonly group: string; readonly topic: string }[];
  /** Outcomes seen in the store so far. */
  readonly stored: () => number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Records that a group has not committed; null when the log does not answer. */
export async function lagOf(log: Log, group: string, topic: string): Promise<number | null> {
  try {
    const [ends, committed] = await Promise.all([log.endOffsets(topic), log.committed(group, topic)]);
    const done = new Map(committed.map(({ partition, offset }) => [partition, offset]));
    // The two are not asked at the same instant: a commit may be ahead of the end that was seen.
    return ends.reduce((sum, { partition, offset }) => sum + Math.max(0, offset - (done.get(partition) ?? 0)), 0);
  } catch {
    return null;
  }
}

export async function showProgress({ log, ledger, groups, stored, say, signal }: ProgressOptions): Promise<void> {
  let before = { at: Date.now(), acknowledged: 0, stored: 0 };
  while (!signal.aborted) {
    await sleep(everyMs, undefined, { signal }).catch(() => {});
    const lags = await Promise.race([
      Promise.all(groups.map(async ({ stage, group, topic }) => `${stage} ${(await lagOf(log, group, topic)) ?? '?'}`)),
      sleep(3_000, ['the log does not answer']),
    ]);
    const { offered, acknowledged } = ledger.counts();
    const now = { at: Date.now(), acknowledged, stored: stored() };
    const rate = (name: 'acknowledged' | 'stored'): string => (((now[name] - before[name]) * 1000) / (now.at - before.at)).toFixed(1);
    say(`offered ${offered}, acknowledged ${acknowledged} (${rate('acknowledged')}/s), outcomes stored ${now.stored} (${rate('stored')}/s), owed ${ledger.owed().size}; lag: ${lags.join(', ')}`);
    before = now;
  }
}
