/** A committed position is never ahead of results that are durable: what it covers would not be done again. */
import type { Evidence, Invariant } from './invariant.ts';
import { placeOf } from './invariant.ts';

export function commitAfterResults({ facts }: Evidence): Invariant {
  return {
    name: 'commit-after-results',
    committed({ group, offset, records }) {
      const missing = records.find((record) => !facts.resultsDurable(record));
      return missing ? `${group} commits ${offset}, but the results of ${placeOf(missing)} are nowhere` : null;
    },
  };
}
