/** What a fused chain waits for, as people are told: a topic that it bypasses, to be worked off by its group. */

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

export const lasts = ({ since }: FusedWait, now: number): boolean => now - since >= tellAfterMs;

export const sentence = ({ topic, since, records }: FusedWait, now: number): string =>
  `for ${Math.round((now - since) / 1000)} s all that is handed over in memory with it waits for ${topic} to be worked off: ${records} records are left. If they grow no fewer, look for a process that is halted or stuck among those that read the topic.`;
