/**
 * The stage that keeps frames to look at: a sample of each source and what its models were least sure of. It reads
 * `predictions` in a group of its own and fetches from the log only the pictures it has chosen, so that it costs inference nothing.
 * A frame that cannot be kept at present is let go, since the next stretch has another: nothing of the pipeline is in trouble then.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Prediction } from '../../schemas/records.ts';
import { emit, type Emitted, type Stage } from '../stage.ts';
import { type Chosen, chooser } from './choose.ts';
import type { KeepConfig } from './config.ts';
import type { Keep } from './keeper.ts';

export interface KeepOptions {
  readonly config: KeepConfig;
  readonly keep: Keep;
  readonly log: { warn(details: object, message: string): void };
}

/** Output: `kept` (KeptFrame, key = source). */
export function keepStage({ config, keep, log }: KeepOptions): Stage<Prediction> {
  const choose = chooser(config);

  async function kept(frame: Chosen): Promise<Emitted[]> {
    const value = await keep(frame);
    if (value instanceof SaccadeError) log.warn({ frame: frame.frame_id, reason: frame.reason, error: value.message }, 'a frame could not be kept');
    return value && !(value instanceof SaccadeError) ? [{ output: 'kept', key: frame.source, value }] : [];
  }

  return {
    name: 'keep',
    batch: { records: config.records, bytes: config.bytes, waitMs: config.waitMs, concurrency: 1 },
    async process(inputs, signal) {
      const outcomes = [];
      // One picture at a time: those who wait for answers need the processors more.
      for (const { value } of inputs) {
        const emitted: Emitted[] = [];
        for (const frame of signal.aborted ? [] : choose(value)) emitted.push(...(await kept(frame)));
        outcomes.push(emit(...emitted));
      }
      return outcomes;
    },
  };
}
