/** A committed position never goes back, and never past the end. */
import type { Evidence, Invariant } from './invariant.ts';

export function commitsAdvance({ records }: Evidence): Invariant {
  return {
    name: 'commits-advance',
    committed({ group, topic, partition, before, offset }) {
      if (offset < before) return `${group} commits ${topic}/${partition}@${offset} after ${before}`;
      const end = records(topic).filter((record) => record.partition === partition).length;
      return offset > end ? `${group} commits ${topic}/${partition}@${offset}; it ends at ${end}` : null;
    },
  };
}
