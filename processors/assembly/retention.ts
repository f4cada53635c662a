/** How long what is kept, of whom, as the settings say. */
import type { Settings } from '../settings.ts';
import type { KeptClass } from '../sink/config.ts';
import type { Days, Retention } from '../sink/retention.ts';

export function retentionOf(s: Settings): Retention {
  const of = (kind: KeptClass, usual: number): Days => ({
    usual,
    // What is said of one class comes after, and so counts more than, what is said of all of a tenant's.
    tenants: new Map([null, kind].flatMap((named) => s.SACCADE_KEEP_TENANTS.filter((each) => each.kind === named).map(({ tenant, days }): [string, number] => [tenant, days]))),
  });
  return {
    rows: of('rows', s.SACCADE_KEEP_DAYS),
    embeddings: of('embeddings', s.SACCADE_KEEP_EMBEDDINGS_DAYS),
    rollups: of('rollups', s.SACCADE_KEEP_ROLLUPS_DAYS),
    drift: of('drift', s.SACCADE_KEEP_DRIFT_DAYS),
    frames: of('frames', s.SACCADE_KEEP_FRAMES_DAYS),
  };
}
