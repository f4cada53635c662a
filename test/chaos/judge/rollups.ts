/** The rollups of closed buckets against counts over the deduplicated rows. */
import type { Store } from '../../../connectors/ports.ts';

/** null: this pipeline has no rollups. */
export async function rollupsEqual(store: Store): Promise<boolean | null> {
  const there = await store.query<{ name: string }>("select name from system.tables where database = currentDatabase() and name in ('outcomes_by_minute', 'outcomes_by_hour')");
  return there.length === 0 ? null : false;
}
