/** Every record that is refused lies in the dead letters of its topic, byte for byte, by the time it is committed. */
import type { Evidence, Invariant } from './invariant.ts';
import { placeOf } from './invariant.ts';

export function deadLetters({ facts }: Evidence): Invariant {
  return {
    name: 'dead-letters',
    committed({ group, records }) {
      const missing = records.find((record) => facts.mustBeLetter(record) && facts.lettersOf(record).length === 0);
      return missing ? `${group} is past ${placeOf(missing)}, which had to be a dead letter and is none` : null;
    },
    appended({ record: letter }) {
      if (!letter.topic.endsWith('.dlq')) return null;
      const { headers } = letter;
      const origin = { topic: headers['saccade-topic']!, partition: Number(headers['saccade-partition']), offset: Number(headers['saccade-offset']) };
      const { record } = facts.readOf(origin);
      const same = letter.value === record.value || (letter.value !== null && record.value !== null && letter.value.equals(record.value));
      if (letter.topic !== `${record.topic}.dlq`) return `the letter of ${placeOf(record)} lies in ${letter.topic}`;
      return same ? null : `the letter of ${placeOf(record)} has ${letter.value?.length ?? 'no'} bytes, the record ${record.value?.length ?? 'none'}`;
    },
  };
}
