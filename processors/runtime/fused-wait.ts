/** What a fused chain waits for, as people are told: a topic that it bypasses, to be worked off by its group. */
import type { Clock } from '../../connectors/ports.ts';
import type { Logger } from './logger.ts';
import type { Step } from './wiring.ts';

export interface FusedWait {
  readonly stage: string;
  readonly topic: string;
  /** In milliseconds since the epoch; through rebalances. */
  readonly since: number;
  /** Left when it was last asked. */
  readonly records: number;
}

/** What is over in less is nothing to be told of. */
const tellAfterMs = 5_000;
/** How often somebody is told of a wait that does not end. */
const sayAgainMs = 60_000;

export const lasts = ({ since }: FusedWait, now: number): boolean => now - since >= tellAfterMs;

export const sentence = ({ topic, since, records }: FusedWait, now: number): string =>
  `for ${Math.round((now - since) / 1000)} s all that is handed over in memory with it waits for ${topic} to be worked off: ${records} records are left. If they grow no fewer, look for a process that is halted or stuck among those that read the topic.`;

/** The waits of one step, one after the other, told of while they last. */
export interface Waits {
  /** Null: its topic is not known to hold anything that it has to wait for. */
  now(): FusedWait | null;
  /** So many records are left. */
  still(records: number): void;
  over(): void;
}

/** Once in the log; and where it does not end, again and again and louder: somebody may have to help. `announce` tells whoever watches the process. */
export function waitsOf({ stage: { name: stage }, from: topic }: Step, { clock, logger, announce }: { readonly clock: Clock; readonly logger: Logger; announce?: ((line: string) => void) | undefined }): Waits {
  let current: FusedWait | null = null;
  let saidAt = 0;
  let announced = false;
  return {
    now: () => current,
    still(records) {
      const now = clock.now();
      const before = current;
      current = { stage, topic, since: before?.since ?? now, records };
      if (!before) logger.info({ stage, topic, records }, 'what is handed over in memory waits for the topic that fusing bypasses to be emptied');
      else if (now - saidAt < sayAgainMs) return;
      else {
        announced = true;
        logger.warn({ stage, topic, records }, sentence(current, now));
        announce?.(`!! ${stage}: ${sentence(current, now)}`);
      }
      saidAt = now;
    },
    over() {
      if (announced) {
        logger.info({ stage, topic }, 'worked off: what waited for the topic goes on');
        announce?.(`${stage}: ${topic} is worked off, what waited for it goes on`);
      }
      current = null;
      announced = false;
    },
  };
}
