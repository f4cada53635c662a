/**
 * Tells when work stands still for no reason anybody knows of: a hung call, a consumer that fetches no more. An
 * orchestrator then starts the process again. Where a reason is known (the store is away, the stage is halted) a new process
 * would fare no better, so that is no standstill, however long it lasts; nor is having nothing to do.
 */
import type { Clock } from '../../connectors/ports.ts';

export interface ProgressOptions {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Records taken over and not finished. */
  inHand(): number;
  /** Whether a reason is known why nothing moves. */
  excused(): boolean;
  /** Records in the log that wait to be fetched. */
  waiting(): Promise<number>;
}

export interface Progress {
  /** Something happened that only happens while the work goes on. */
  moved(): void;
  /** Since when nothing has moved though there is work, in words; null while all is well. */
  stuck(): string | null;
}

/** Time is counted in looks, not read from the clock: one that is set forward, or a machine that slept, must not look like a standstill. */
const looks = 10;

/** Looks until the signal aborts. */
export function watchProgress({ clock, limitMs, signal, inHand, excused, waiting }: ProgressOptions): Progress {
  const everyMs = limitMs / looks;
  let moved = true;
  let quiet = 0;
  let left = 0;

  /** Who cannot be asked is away: a fault of the environment. */
  async function unfetched(): Promise<number> {
    const enough = new AbortController();
    try {
      return await Promise.race([waiting(), clock.sleep(everyMs, AbortSignal.any([signal, enough.signal])).then(() => 0)]);
    } catch {
      return 0;
    } finally {
      enough.abort();
    }
  }

  async function look(): Promise<void> {
    moved = false;
    await clock.sleep(everyMs, signal);
    if (signal.aborted) return;
    left = inHand() || (excused() ? 0 : await unfetched());
    quiet = moved || excused() || left === 0 ? 0 : quiet + 1;
  }

  async function watch(): Promise<void> {
    while (!signal.aborted) await look();
  }
  void watch();

  return {
    moved() {
      moved = true;
      quiet = 0;
    },
    stuck: () => (quiet >= looks ? `nothing has moved for ${Math.round((quiet * everyMs) / 1000)} s, with ${left} records to do` : null),
  };
}
