/**
 * The stage that keeps the examples of drift: a window names its frames only when it is over, while their pictures still lie in
 * the log. What is away (the store, which knows where they lie, the log, the blobs) is waited for here and not through the runtime,
 * since nothing of the pipeline is in trouble then; some minutes after their window was closed the examples are given up, so
 * that those of an old backlog are looked for once.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { DriftWindow } from '../../schemas/records.ts';
import { emit, type Emitted, type Outcome, retry, type Stage } from '../stage.ts';
import type { Keep } from './keeper.ts';
import type { FindPlaces } from './places.ts';

export interface KeepExamplesOptions {
  readonly find: FindPlaces;
  readonly keep: Keep;
  readonly clock: Clock;
  readonly log: { warn(details: object, message: string): void };
  /** Milliseconds before each further look; the last holds for all that follow. */
  readonly waits?: readonly number[];
  /** Milliseconds after a window was closed in which its examples are waited for. */
  readonly giveUpAfterMs?: number;
}

const defaultWaits = [1_000, 2_000, 5_000, 10_000, 30_000];

/** Examples of a window that are not kept yet. */
interface Wanted {
  readonly window: DriftWindow;
  readonly until: number;
  readonly emitted: Emitted[];
  left: readonly string[];
  trouble: SaccadeError | null;
}

const notStored = (): SaccadeError => new SaccadeError('not_found', 'It is not stored yet.');

/** Output: `kept` (KeptFrame, key = source). */
export function keepExamplesStage({ find, keep, clock, log, waits = defaultWaits, giveUpAfterMs = 180_000 }: KeepExamplesOptions): Stage<DriftWindow> {
  let waiting = false;
  const ending = new AbortController();

  async function look(wanted: Wanted): Promise<void> {
    const { tenant, source } = wanted.window;
    const later: string[] = [];
    wanted.trouble = null;
    // A row that is not stored yet will be: the sink is a second or two behind.
    const places = await find(tenant, source, wanted.left).catch((error: SaccadeError) => ((wanted.trouble = error), new Map()));
    for (const frame_id of wanted.left) {
      const found = places.get(frame_id);
      const value = found ? await keep({ ...found, frame_id, tenant, source, reason: 'drift' }) : notStored();
      if (value instanceof SaccadeError) {
        later.push(frame_id);
        wanted.trouble ??= value;
      } else if (value) wanted.emitted.push({ output: 'kept', key: source, value });
    }
    wanted.left = later;
  }

  /** Those of one batch wait together: one that never turns up costs the others no wait of their own. */
  async function keepAll(all: readonly Wanted[], signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, ending.signal]);
    for (let tries = 0; !over.aborted; tries += 1) {
      for (const wanted of all) if (wanted.left.length > 0 && (tries === 0 || clock.now() <= wanted.until)) await look(wanted);
      const now = clock.now();
      const soonest = now + (waits[tries] ?? waits.at(-1)!);
      const open = all.filter(({ left, until }) => left.length > 0 && soonest <= until);
      if (open.length === 0) return;
      waiting = true;
      await clock.sleep(soonest - now, over);
      waiting = false;
    }
  }

  function outcomeOf({ window, emitted, left, trouble }: Wanted): Outcome {
    if (left.length === 0) return emit(...emitted);
    // Whoever is next looks again; what was kept already is kept under the same name.
    if (ending.signal.aborted) return retry(new SaccadeError('store_unavailable', 'This process ends.'));
    log.warn({ window: window.id, frames: left, error: trouble?.message }, 'examples of drift could not be kept');
    return emit(...emitted);
  }

  return {
    name: 'keep.examples',
    batch: { records: 16, bytes: 4 * 1024 * 1024, waitMs: 0, concurrency: 1 },
    resting: () => waiting,
    drain: () => ending.abort(),
    async process(inputs, signal) {
      const now = clock.now();
      // A clock that is ahead elsewhere makes nobody wait longer.
      const all = inputs.map(({ value: window }): Wanted => ({ window, until: Math.min(window.closed_at, now) + giveUpAfterMs, emitted: [], left: window.examples, trouble: null }));
      await keepAll(all, signal);
      return all.map(outcomeOf);
    },
  };
}
