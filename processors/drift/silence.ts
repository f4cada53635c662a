/** Asks the stage now and then whether a source has fallen silent, and sees to it that what it says arrives. */
import type { Clock } from '../../connectors/ports.ts';
import type { Emitted } from '../stage.ts';
import { askedEveryMs, type DriftStage } from './drift.ts';

export interface SilenceOptions {
  readonly stage: Pick<DriftStage, 'silent'>;
  /** Resolves when all of it is acknowledged. */
  send(emitted: readonly Emitted[]): Promise<void>;
  readonly clock: Clock;
  /** Aborting it ends the loop. */
  readonly signal: AbortSignal;
  readonly log: { warn(details: object, message: string): void };
}

/** Until the signal aborts. What the log does not take is offered again; ids make a repeat harmless. */
export async function tellOfSilence({ stage, send, clock, signal, log }: SilenceOptions): Promise<void> {
  let untold: Emitted[] = [];
  while (!signal.aborted) {
    await clock.sleep(askedEveryMs, signal);
    if (signal.aborted) return;
    untold.push(...(await stage.silent()));
    if (untold.length === 0) continue;
    try {
      await send(untold);
      untold = [];
    } catch (error) {
      // Not the states: by the next try the partition may be another's, and its state further on. A lost one costs nothing but to be told again.
      untold = untold.filter(({ output }) => output !== 'state');
      log.warn({ err: error, records: untold.length }, 'what is to be told of silent sources could not be sent');
    }
  }
}
