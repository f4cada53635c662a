/** Who asked is told: a frame with a reply address has a reply for each model, in the partition it named. */
import { predictionId } from '../../../schemas/ids.ts';
import type { Evidence, Invariant } from './invariant.ts';

export function answered({ facts, records }: Evidence): Invariant {
  return {
    name: 'answered',
    settled() {
      const replies = new Set(records('replies').map((record) => `${facts.readOf(record).id} in ${record.partition}`));
      for (const { frameId, models, reply, source, order } of facts.truths()) {
        // Announced, but not yet written when all ended: nobody has acknowledged it.
        if (reply === null || !facts.has('frames', frameId)) continue;
        const missing = models.find((model) => !replies.has(`${predictionId(frameId, model)} in ${reply.partition}`));
        if (missing !== undefined) return `frame ${order} of ${source} got no reply for ${missing}`;
      }
      return null;
    },
  };
}
