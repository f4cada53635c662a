/** A sound frame is answered, a faulty one dead-lettered where its fault lies; a fault of the environment condemns nobody. */
import { culpritFor } from '../offer/kinds.ts';
import type { Evidence, Invariant } from './invariant.ts';
import { placeOf } from './invariant.ts';

export function deservedOutcome({ facts, table }: Evidence): Invariant {
  return {
    name: 'deserved-outcome',
    appended({ record }) {
      if (!record.topic.endsWith('.dlq')) return null;
      const { headers } = record;
      const stage = headers['saccade-stage']!.split('.')[0]!;
      const origin = { topic: headers['saccade-topic']!, partition: Number(headers['saccade-partition']), offset: Number(headers['saccade-offset']) };
      const { truth, model, id } = facts.readOf(origin);
      if (truth === null) return id === null ? null : `${placeOf(origin)} is dead-lettered and belongs to no frame`;
      const atFault = (model === null ? truth.models : [model]).some((each) => culpritFor(truth, each) === stage);
      return atFault ? null : `${placeOf(origin)}, frame ${truth.order} of ${truth.source} (${truth.kind.name}), is dead-lettered in ${stage}: ${headers['saccade-error']}`;
    },
    settled() {
      for (const row of table.view()) {
        const asked = facts.asked(row.id);
        if (!asked) continue;
        const culprit = culpritFor(asked.truth, asked.model);
        const deserved = culprit === null ? 'ok' : 'dead_lettered';
        const late = row.status === 'dropped' && row.reason === 'deadline' && asked.truth.deadline !== null;
        if (row.status !== deserved && !late) {
          return `frame ${asked.truth.order} of ${asked.truth.source} (${asked.truth.kind.name}) is ${row.status} for ${asked.model}: ${row.reason}`;
        }
      }
      return null;
    },
  };
}
