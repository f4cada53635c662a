/** What a consumer has taken over and not finished stays under the limit, but for the fetches that were under way when it paused. */
import type { Evidence, Holding, Invariant } from './invariant.ts';

const bytesOf = ({ unfinished }: Holding): number => unfinished.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);

export function bytesInFlight({ scenario }: Evidence): Invariant {
  let largest = 0;
  return {
    name: 'bytes-in-flight',
    appended({ record }) {
      largest = Math.max(largest, record.value?.length ?? 0);
      return null;
    },
    delivered(holding) {
      const fetch = Math.max(scenario.fetchBytesPerPartition, largest);
      const limit = scenario.inFlightBytes + holding.partitions * fetch;
      const held = bytesOf(holding);
      return held <= limit ? null : `${holding.member} holds ${held} bytes in ${holding.unfinished.length} records; the limit is ${limit}`;
    },
  };
}
