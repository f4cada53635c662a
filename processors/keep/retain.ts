/** How long and how many kept pictures stay. */
import type { BlobStore, Clock } from '../../connectors/ports.ts';
import type { Forget } from './forget.ts';
import { tenantOf } from './kept-pictures.ts';

export interface RetainOptions {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'expire' | 'trim'>;
  /** Of a tenant's; Infinity: for as long as there is room. */
  readonly ageMs: (tenant: string) => number;
  /** Of all tenants together; who keeps less than a fair share of it loses nothing to the others. */
  readonly maxBytes: number;
  /** What of them is listed elsewhere; null: nothing. */
  readonly forget: Forget | null;
  /** Aborting it ends the loop, after the look that is under way. */
  readonly signal: AbortSignal;
  readonly log: { info(details: object, message: string): void; warn(details: object, message: string): void };
}

/** Between two looks more may lie there, as many as are kept within that time. */
const everyMs = 10 * 60_000;

/** Looks at once and then every ten minutes, until the signal aborts. A failure is logged and tried again at the next. */
export async function retainPictures({ clock, blobs, ageMs, maxBytes, forget, signal, log }: RetainOptions): Promise<void> {
  /** Deleted, and listed elsewhere still: with when they were. */
  let listed: { readonly names: readonly string[]; readonly before: number }[] = [];
  while (!signal.aborted) {
    try {
      const expired = await blobs.expire((name) => ageMs(tenantOf(name)));
      const before = clock.now();
      const trimmed = await blobs.trim(maxBytes, tenantOf);
      if (expired + trimmed.length > 0) log.info({ expired, trimmed: trimmed.length }, 'kept pictures deleted');
      if (trimmed.length > 0 && forget) listed.push({ names: trimmed, before });
      while (listed.length > 0) {
        await forget!(listed[0]!.names, listed[0]!.before);
        listed.shift();
      }
    } catch (error) {
      log.warn({ err: error }, 'kept pictures could not be deleted');
    }
    await clock.sleep(everyMs, signal);
  }
}
