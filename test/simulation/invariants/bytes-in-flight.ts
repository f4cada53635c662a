/** What a consumer has taken over and not finished stays under the limit, but for the one fetch of each partition that was under way when it paused. */
import type { LogRecord } from '../../../connectors/ports.ts';
import type { Evidence, Invariant } from './invariant.ts';

/** What the runtime reckons a record to cost beside its value. */
const overhead = 512;

const costOf = (records: readonly LogRecord[]): number => records.reduce((sum, { value }) => sum + (value?.length ?? 0) + overhead, 0);

export function bytesInFlight({ scenario }: Evidence): Invariant {
  let largestFetch = 0;
  return {
    name: 'bytes-in-flight',
    delivered({ member, partitions, unfinished, fetched }) {
      largestFetch = Math.max(largestFetch, costOf(fetched));
      const limit = scenario.inFlightBytes + partitions * largestFetch;
      const held = costOf(unfinished);
      return held <= limit ? null : `${member} holds ${held} bytes in ${unfinished.length} records; the limit is ${limit}`;
    },
  };
}
