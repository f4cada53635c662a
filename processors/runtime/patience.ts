/** What a process does when an engine is away at its start: it waits. Ending instead would make whoever restarts it wait longer each time. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import { backoff } from './backoff.ts';

export interface PatienceOptions {
  readonly clock: Clock;
  /** Told what is waited for, when it is first missing. */
  readonly say: (line: string) => void;
  readonly limitMs?: number;
}

/** The attempt's result. Throws at once what no waiting mends (a wrong setting), and after `limitMs` the last fault of the environment. */
export async function patiently<T>(attempt: () => Promise<T>, { clock, say, limitMs = 60_000 }: PatienceOptions): Promise<T> {
  const waits = backoff(250, 2_000);
  const until = clock.now() + limitMs;
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof SaccadeError) || !error.retryable || clock.now() >= until) throw error;
      if (tries === 1) say(`waiting up to ${Math.round(limitMs / 1000)} s: ${error.message}`);
      await clock.sleep(waits.next());
    }
  }
}
