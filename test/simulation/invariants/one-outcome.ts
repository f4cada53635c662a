/** Every accepted frame has exactly one outcome for each model asked for, in what the public views show. */
import { predictionId } from '../../../schemas/ids.ts';
import type { Evidence, Invariant } from './invariant.ts';

export function oneOutcome({ facts, table }: Evidence): Invariant {
  return {
    name: 'one-outcome',
    settled() {
      const shown = new Map<string, number>();
      for (const row of table.view()) shown.set(row.id, (shown.get(row.id) ?? 0) + 1);
      for (const truth of facts.truths()) {
        for (const model of truth.models) {
          const id = predictionId(truth.frameId, model);
          const count = shown.get(id) ?? 0;
          if (count !== 1) {
            return `frame ${truth.order} of ${truth.source} (${truth.kind.name}) has ${count} outcomes for ${model}`;
          }
        }
      }
      return null;
    },
  };
}
