/**
 * Whether work waits so long that retention could delete it unprocessed: then no more is accepted. Found from the log, so
 * it is right whichever process runs the stages.
 */
import type { Clock, Log } from '../../connectors/ports.ts';

export interface RetainedGroup {
  readonly stage: string;
  readonly group: string;
  readonly topic: string;
  readonly retentionMs: number;
  /** A tenant's own input: nothing that is accepted here waits there, so its lateness shuts out nobody. */
  readonly own?: boolean;
}

export interface NearRetentionOptions {
  readonly log: Pick<Log, 'committed' | 'offsetsAt' | 'beginningOffsets' | 'endOffsets'>;
  /** Read anew at each look. */
  readonly groups: () => readonly RetainedGroup[];
  readonly clock: Clock;
}

export interface NearRetention {
  /** Looks at the log every few seconds until the signal aborts. */
  watch(signal: AbortSignal): Promise<void>;
  /** Looks once. Throws log_unavailable. */
  look(): Promise<void>;
  /** Why nothing should be accepted, or null. */
  refusal(): string | null;
  /** Inputs of tenants that are late, by stage. */
  lateInputs(): Record<string, string>;
}

/** Acceptance stops before half of the retention is used up: what is on its way, and the next look, come on top. */
const share = 0.45;
/** It begins again well below that, so that it does not flutter. */
const resumeShare = 0.35;
const mostEveryMs = 5_000;

const hours = (ms: number): string => (ms >= 3_600_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 1000).toFixed(0)} s`);
const sentence = ({ stage, topic, retentionMs }: RetainedGroup): string => `${stage} is more than ${hours(retentionMs * resumeShare)} behind on ${topic}, which keeps records for ${hours(retentionMs)}.`;

export function nearRetention({ log, groups, clock }: NearRetentionOptions): NearRetention {
  const shortest = Math.min(...groups().map(({ retentionMs }) => retentionMs));
  const everyMs = Math.min(mostEveryMs, shortest / 100);
  let late = new Map<string, RetainedGroup>();

  /** Whether the oldest record that the group has not finished is older than `ageMs`. */
  async function behindBy({ group, topic }: RetainedGroup, ageMs: number): Promise<boolean> {
    const [committed, since, lows, ends] = await Promise.all([
      log.committed(group, topic),
      log.offsetsAt(topic, clock.now() - ageMs),
      log.beginningOffsets(topic),
      log.endOffsets(topic),
    ]);
    const done = new Map(committed.map(({ partition, offset }) => [partition, offset]));
    const low = new Map(lows.map(({ partition, offset }) => [partition, offset]));
    const end = new Map(ends.map(({ partition, offset }) => [partition, offset]));
    return since.some(({ partition, offset }) => {
      const first = Math.max(low.get(partition) ?? 0, done.get(partition) ?? 0);
      return first < (end.get(partition) ?? 0) && first < offset;
    });
  }

  async function look(): Promise<void> {
    const found = await Promise.all(groups().map(async (each) => ((await behindBy(each, each.retentionMs * (late.has(each.stage) ? resumeShare : share))) ? [each] : [])));
    late = new Map(found.flat().map((each) => [each.stage, each]));
  }

  return {
    look,
    async watch(signal) {
      while (!signal.aborted) {
        // What was known stays: a log that cannot be asked accepts nothing anyway.
        await look().catch(() => {});
        await clock.sleep(everyMs, signal);
      }
    },
    refusal() {
      const worst = [...late.values()].find(({ own }) => !own);
      return worst ? sentence(worst) : null;
    },
    lateInputs: () => Object.fromEntries([...late.values()].filter(({ own }) => own).map((each) => [each.stage, sentence(each)])),
  };
}
