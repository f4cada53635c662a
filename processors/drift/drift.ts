/**
 * The stage that tells when the world has changed. It reads `predictions` in a group of its own, sums each stream up to windows,
 * and compares those with the stream's reference.
 *
 * Every input is done at once, since its counts live in the state, which leaves with the batch: with the first input of each
 * partition go the windows and alerts that the batch has completed and the state of each source in it. Outputs leave in the
 * order of the partition and before any position is committed, so a later owner finds in the state at least what is
 * committed. What it is given again is below the state's offset and is not counted again; what may not have arrived of the
 * results lies in the state too and is sent again, under the same ids.
 *
 * To judge a window takes milliseconds, the first of its length a second, and many end at the same time: between two of them and within the
 * long ones the thread is given up, so that heartbeats and other stages get their turn; but to read a reference of a week is one go of some
 * tenths of a second. What is asked of the stage meanwhile waits, since a source that is half counted is in no state to be told of.
 *
 * A source that falls silent brings no inputs by which its last window could end: `silent` ends those by the clock on the wall, for the
 * sources of partitions that this process reads.
 */
import { setImmediate as otherWork } from 'node:timers/promises';
import type { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import { driftWindowId } from '../../schemas/ids.ts';
import type { DriftWindow, Prediction } from '../../schemas/records.ts';
import { emit, type Emitted, type Input, type Outcome, retry, type Stage } from '../stage.ts';
import { watchWindow } from './alerts.ts';
import { packBlocks } from './blocks.ts';
import type { DriftConfig } from './config.ts';
import { inTurn } from './in-turn.ts';
import { estimatePerformance } from './performance.ts';
import type { References } from './references.ts';
import { isCounted, newState, packState, passed, type SourceState, stateKey, tidy, unpackState } from './source-state.ts';
import { chartsOf, judge } from './verdict.ts';
import { add, type ClosedWindow, closeSilent, leastFrames, noWindows, type Span } from './windows.ts';

export interface DriftOptions {
  readonly config: DriftConfig;
  readonly clock: Pick<Clock, 'now'>;
  readonly references: Pick<References, 'normalFor'>;
  /** What was written of every source, read to the end. Throws log_unavailable. */
  states(): Promise<ReadonlyMap<string, Buffer>>;
  readonly log: { warn(details: object, message: string): void; info(details: object, message: string): void };
}

/** Results of inputs that may be asked for again: the registry was away when they were to leave. */
const handedAtMost = 200;

/**
 * An hour holds what is too little for five minutes to tell from chance. There are twelve times fewer of them, so each may err twelve times as
 * often. A day is compared for the eye alone: a reference of a week has seven.
 */
const leniency: Readonly<Record<Exclude<Span, '24h'>, number>> = { '5m': 1, '1h': 12 };

/** Records that are counted before others get their turn: some 5 ms. */
const inARow = 50;

/** A source without a record for so long has fallen silent: longer than a consumer takes to learn that its partitions are another's. */
export const silentMs = 120_000;
/** How often it is asked. */
export const askedEveryMs = 30_000;

export interface DriftStage extends Stage<Prediction> {
  /** What is to be told of sources that have fallen silent; to be sent by whoever asks, again until it has arrived. */
  silent(): Promise<Emitted[]>;
}

export function driftStage({ config, clock, references, states, log }: DriftOptions): DriftStage {
  let generation: AbortSignal | null = null;
  let sources = new Map<string, SourceState>();
  /** Partitions of which a record has come in this generation. */
  let seen = new Set<number>();
  let handed = new Map<string, readonly Emitted[]>();
  let full = false;
  /** When a record of a source last came, by this process's clock; of those not in here, not since this. */
  let lastSeen = new Map<SourceState, number>();
  let begunAt = 0;
  let askedAt = 0;

  const alone = inTurn();
  const place = ({ origin }: Input): string => `${origin.partition}@${origin.offset}`;

  async function begin(signal: AbortSignal): Promise<void> {
    const written = await states();
    const read = new Map<string, SourceState>();
    for (const [key, bytes] of written) {
      try {
        read.set(key, unpackState(bytes));
      } catch (error) {
        log.warn({ key, error: (error as SaccadeError).message }, 'the state of a source cannot be read; it begins anew');
      }
    }
    sources = read;
    seen = new Set();
    lastSeen = new Map();
    begunAt = clock.now();
    handed = new Map();
    generation = signal;
  }

  function stateOf({ value: { tenant, source }, origin }: Input<Prediction>): SourceState | null {
    const key = stateKey(tenant, source);
    let state = sources.get(key);
    if (!state) {
      if (sources.size >= config.mostSources) {
        if (!full) log.warn({ source, most: config.mostSources }, 'too many sources to watch them all for drift');
        full = true;
        return null;
      }
      sources.set(key, (state = newState(tenant, source, origin.partition)));
    }
    return state;
  }

  /** What an earlier owner of the partition may not have got through. */
  function unsettled({ partition, offset }: Input['origin']): Emitted[] {
    if (seen.has(partition)) return [];
    seen.add(partition);
    return [...sources.values()].flatMap((state) => (state.partition === partition ? state.sent.filter((sent) => sent.offset >= offset).map(({ emitted }) => emitted) : []));
  }

  return {
    name: 'drift',
    batch: { records: config.records, bytes: config.bytes, waitMs: config.waitMs, concurrency: 1 },

    process: (inputs, signal) => alone(() => process(inputs, signal)),
    silent: () => alone(silent),
  };

  async function process(inputs: readonly Input<Prediction>[], signal: AbortSignal): Promise<readonly Outcome[]> {
    if (signal !== generation) {
      try {
        await begin(signal);
      } catch (error) {
        return inputs.map(() => retry(error as SaccadeError));
      }
    }
    const outcomes = new Map<Input<Prediction>, Outcome>();
    for (const [first, ...others] of byPartition(inputs)) {
      const all = [first!, ...others];
      // Handed over before, and could not leave: it is counted, so only what was handed over can be given again.
      const again = handed.get(place(first!));
      const emitted = [...(again ?? []), ...unsettled(first!.origin), ...(await count(all, first!))];
      if (emitted.length > 0) handed.set(place(first!), emitted);
      for (const input of all) outcomes.set(input, input === first ? emit(...emitted) : emit(...(handed.get(place(input)) ?? [])));
    }
    for (const key of [...handed.keys()].slice(0, Math.max(0, handed.size - handedAtMost))) handed.delete(key);
    return inputs.map((input) => outcomes.get(input)!);
  }

  async function silent(): Promise<Emitted[]> {
    const now = clock.now();
    // A process that stood still (it was stopped, or the machine slept) may have lost its partitions: it asks again once it must know.
    const stoodStill = now - askedAt > 2 * askedEveryMs;
    askedAt = now;
    if (stoodStill || !generation || generation.aborted) return [];
    const told: Emitted[] = [];
    for (const state of sources.values()) {
      if (!seen.has(state.partition) || now - (lastSeen.get(state) ?? begunAt) < silentMs) continue;
      const results: Emitted[] = [];
      for (const [name, windows] of Object.entries(state.streams)) for (const window of closeSilent(windows, now)) results.push(...(await resultsOf(state, name, window, state.next)));
      if (results.length === 0) continue;
      told.push(...results, checkpoint(state));
      await otherWork();
      // The partitions are another's by now, and so is the telling: its states may be further on than these.
      if (generation.aborted) return [];
    }
    return told;
  }

  function checkpoint(state: SourceState): Emitted {
    tidy(state, clock.now());
    return { output: 'state', key: stateKey(state.tenant, state.source), value: packState(state) };
  }

  /** A window that is over, and the alert that follows; remembered in the state under the offset with which they leave. */
  async function resultsOf(state: SourceState, name: string, window: ClosedWindow, offset: number): Promise<Emitted[]> {
    const record = await recordOf(state, name, window);
    const alert = watchWindow(state.watch, record);
    const made: Emitted[] = [{ output: 'windows', key: state.source, value: record }, ...(alert ? [{ output: 'alerts', key: state.source, value: alert }] : [])];
    for (const emitted of made) state.sent.push({ offset, at: clock.now(), emitted });
    if (alert) log.info({ source: state.source, status: alert.status, features: alert.features }, alert.sentence);
    return made;
  }

  /** Counts the inputs of a partition; answers what leaves with the first of them. */
  async function count(inputs: readonly Input<Prediction>[], first: Input): Promise<Emitted[]> {
    const touched = new Set<SourceState>();
    const results: Emitted[] = [];
    for (const [i, input] of inputs.entries()) {
      if (i % inARow === inARow - 1) await otherWork();
      const state = stateOf(input);
      if (!state || isCounted(state, input.origin)) continue;
      touched.add(state);
      lastSeen.set(state, clock.now());
      passed(state, input.origin);
      const { model, version } = input.value;
      // What ended before a version answered counts with the version that answers otherwise.
      const name = `${model}@${version ?? lastVersion(state, model)}`;
      const windows = (state.streams[name] ??= noWindows());
      for (const window of add(windows, input.value)) {
        results.push(...(await resultsOf(state, name, window, first.origin.offset)));
        await otherWork();
      }
    }
    for (const state of touched) {
      results.push(checkpoint(state));
      await otherWork();
    }
    return results;
  }

  async function recordOf({ tenant, source }: SourceState, stream: string, window: ClosedWindow): Promise<DriftWindow> {
    const [model, version] = split(stream);
    const found = references.normalFor({ tenant, source, model, version }, (window.start + window.end) / 2);
    const enough = window.total.frames >= leastFrames;
    const only = found?.sameVersion ? 'all' : 'input';
    const { span } = window;
    const judged = found && enough && span !== '24h' ? await judge(window, found.normal, config.alpha * leniency[span], only) : null;
    const verdict = span === '24h' ? 'sum' : !enough ? 'too_few' : !judged ? 'no_reference' : judged.sentence === null ? 'stable' : 'drifted';
    return {
      id: driftWindowId(tenant, source, stream, span, window.start),
      tenant,
      source,
      model,
      version,
      span,
      start: window.start,
      end: window.end,
      closed_at: clock.now(),
      frames: window.total.frames,
      late: window.late,
      verdict,
      reference: found?.version ?? null,
      sentence: judged?.sentence ?? null,
      features: [...(judged?.features ?? (found && enough ? chartsOf(window, found.normal, only) : []))],
      performance: found?.sameVersion && found.calibration && enough ? estimatePerformance(window.blocks.length > 0 ? window.blocks : [window.total], found.normal.total, found.calibration) : null,
      examples: verdict === 'drifted' ? [...judged!.examples] : [],
      blocks: window.blocks.length > 0 ? packBlocks(window.blocks) : null,
    };
  }
}

function byPartition(inputs: readonly Input<Prediction>[]): Iterable<Input<Prediction>[]> {
  const parts = new Map<number, Input<Prediction>[]>();
  for (const input of inputs) {
    const part = parts.get(input.origin.partition);
    if (part) part.push(input);
    else parts.set(input.origin.partition, [input]);
  }
  return parts.values();
}

function lastVersion({ streams }: SourceState, model: string): string {
  const own = Object.entries(streams).filter(([name]) => split(name)[0] === model).sort(([, a], [, b]) => b.watermark - a.watermark);
  return own[0] ? (split(own[0][0])[1] ?? '') : '';
}

/** The model's name has no @. */
function split(stream: string): [model: string, version: string | null] {
  const at = stream.lastIndexOf('@');
  return [stream.slice(0, at), stream.slice(at + 1) || null];
}
