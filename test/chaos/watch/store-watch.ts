/** Looks into the store for new outcomes, past everything that is done to its clients. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../../connectors/ports.ts';

const everyMs = 1_000;
/** A row gets its time before its insert is seen. */
const lookBackSeconds = 30;
const wholeEvery = 20;

/** Until the signal. `found` gets ids, many of them again; nothing is told while the store does not answer. */
export async function watchStore(store: Store, found: (ids: readonly string[]) => void, signal: AbortSignal): Promise<void> {
  for (let look = 0; !signal.aborted; look++) {
    try {
      const recent = look % wholeEvery === 0 ? '' : `where inserted_at > now64(3) - interval ${lookBackSeconds} second`;
      const rows = await store.query<{ id: string }>(`select distinct toString(id) as id from predictions_raw ${recent}`);
      found(rows.map(({ id }) => id));
    } catch {
      // Killed just now: the next look will tell.
    }
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}
