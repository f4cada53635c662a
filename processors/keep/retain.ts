/** How long and how many kept pictures stay. */
import type { BlobStore, Clock } from '../../connectors/ports.ts';
import { tenantOf } from './kept-pictures.ts';

export interface RetainOptions {
  readonly clock: Clock;
  readonly blobs: Pick<BlobStore, 'expire' | 'trim'>;
  /** Of a tenant's; Infinity: for as long as there is room. */
  readonly ageMs: (tenant: string) => number;
  readonly maxBytes: number;
  /** Aborting it ends the loop, after the look that is under way. */
  readonly signal: AbortSignal;
  readonly log: { info(details: object, message: string): void; warn(details: object, message: string): void };
}

/** Between two looks more may lie there, as many as are kept within that time. */
const everyMs = 10 * 60_000;

/** Looks at once and then every ten minutes, until the signal aborts. A failure is logged and tried again at the next. */
export async function retainPictures({ clock, blobs, ageMs, maxBytes, signal, log }: RetainOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      const expired = await blobs.expire((name) => ageMs(tenantOf(name)));
      const trimmed = await blobs.trim(maxBytes);
      if (expired + trimmed > 0) log.info({ expired, trimmed }, 'kept pictures deleted');
    } catch (error) {
      log.warn({ err: error }, 'kept pictures could not be deleted');
    }
    await clock.sleep(everyMs, signal);
  }
}
