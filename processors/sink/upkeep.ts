/** What a process that runs the sink does for the store beside it: how long rows are kept, and the rollups. */
import type { Clock, Store } from '../../connectors/ports.ts';
import { applyRetention, comparableDays, type Retention } from './retention.ts';
import { keepRollups, type KeepOptions } from './rollups/keep.ts';

export interface UpkeepOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly retention: Retention;
  readonly builder: string;
  readonly log: KeepOptions['log'];
}

/** After the sink's start, which puts the tables in place. `close` resolves when the pass that is under way has ended. */
export async function keepStore({ retention, ...options }: UpkeepOptions): Promise<{ close(): Promise<void> }> {
  await applyRetention(options.store, retention);
  const closing = new AbortController();
  const keeping = keepRollups({ ...options, kept: comparableDays(retention), signal: closing.signal });
  return {
    close() {
      closing.abort();
      return keeping;
    },
  };
}
