/**
 * The stage that keeps the examples of drift: a window names its frames only when it is over, while their pictures still lie in
 * the log. What is away (the store, which knows where they lie, the log, the blobs) is waited for here and not through the runtime,
 * since nothing of the pipeline is in trouble then; after some minutes the examples are given up.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { DriftWindow } from '../../schemas/records.ts';
import { emit, type Emitted, type Outcome, type Stage } from '../stage.ts';
import type { Keep } from './keeper.ts';
import type { FindPlaces } from './places.ts';

export interface KeepExamplesOptions {
  readonly find: FindPlaces;
  readonly keep: Keep;
  readonly clock: Clock;
  readonly log: { warn(details: object, message: string): void };
  /** Milliseconds before each further try. */
  readonly waits?: readonly number[];
}

const defaultWaits = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 60_000];

/** Output: `kept` (KeptFrame, key = source). */
export function keepExamplesStage({ find, keep, clock, log, waits = defaultWaits }: KeepExamplesOptions): Stage<DriftWindow> {
  let waiting = false;

  async function keepThose({ id, tenant, source, examples }: DriftWindow, signal: AbortSignal): Promise<Outcome> {
    const emitted: Emitted[] = [];
    let left: readonly string[] = examples;
    for (let tries = 0; left.length > 0 && !signal.aborted; tries += 1) {
      const later: string[] = [];
      let trouble: string | null = null;
      // A row that is not stored yet will be: the sink is a second or two behind.
      const places = await find(tenant, source, left).catch((error: Error) => ((trouble = error.message), new Map()));
      for (const frame_id of left) {
        const found = places.get(frame_id);
        const value = found ? await keep({ ...found, frame_id, tenant, source, reason: 'drift' }) : new SaccadeError('not_found', 'It is not stored yet.');
        if (value instanceof SaccadeError) {
          later.push(frame_id);
          trouble ??= value.message;
        } else if (value) emitted.push({ output: 'kept', key: source, value });
      }
      left = later;
      if (left.length === 0) break;
      const wait = waits[tries];
      if (wait === undefined) {
        log.warn({ window: id, frames: left, error: trouble }, 'examples of drift could not be kept');
        break;
      }
      waiting = true;
      await clock.sleep(wait, signal);
      waiting = false;
    }
    return emit(...emitted);
  }

  return {
    name: 'keep.examples',
    batch: { records: 16, bytes: 4 * 1024 * 1024, waitMs: 0, concurrency: 1 },
    resting: () => waiting,
    async process(inputs, signal) {
      const outcomes: Outcome[] = [];
      for (const { value } of inputs) outcomes.push(await keepThose(value, signal));
      return outcomes;
    },
  };
}
