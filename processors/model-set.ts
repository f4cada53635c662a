/**
 * Which models this process serves, the one place that knows: those of SACCADE_MODELS in their order, without what the topic
 * `models` says is gone, and after them what was loaded by it, by name. The topic outlives the process, and wins. One whose folder
 * is not here is served by what the topic tells of it: its doors are open and its pictures are cut, and others infer.
 */
import { asSaccadeError } from '../connectors/errors.ts';
import { type ModelChoice, parseModelChoice } from '../connectors/models/model-choice.ts';
import type { Clock, Log, LogProducer } from '../connectors/ports.ts';
import type { Model } from '../schemas/model-card.ts';
import { asItIs, asTold, controlled, type ModelControl, type ModelState } from '../schemas/model-control.ts';
import type { ModelReport } from '../schemas/model-report.ts';
import type { ModelSet } from '../schemas/model-set.ts';
import { followModelsTopic, type ModelsTopic } from './models-topic.ts';

/** How a model fares in this process. */
export type Standing = Pick<ModelReport['models'][string], 'version' | 'trouble'>;

export interface LiveModels extends ModelSet {
  /** Names of those that may be asked for; the first answers where none is asked for. The same array until one comes or goes. */
  offered(): readonly string[];
  /** Since when a model is being unloaded, in milliseconds since the epoch; null: it is not. */
  leaving(name: string): number | null;
  find(name: string): Model | null;
  /** The model with the version and thresholds chosen for it by now. */
  current(model: Model): Model;
  /** How it is to be served: the same object until something is written for it, be it the same again. */
  control(name: string): ModelControl;
  /** What cannot be served as it should, by `model NAME`, as /ready tells it. */
  degraded(): Record<string, string>;
  /**
   * Calls `apply` for each model, and from then on whenever one has come, changed or gone (find() tells which), one call at a
   * time for each name; once it resolves this process says in the topic how the model fares here. Resolves after the first round.
   */
  begin(apply: (name: string) => Promise<Standing>): Promise<void>;
  /** Calls for nothing more; resolves when what was called for is done. */
  rest(): Promise<void>;
  close(): Promise<void>;
}

export interface ModelSetOptions {
  /** Reads one from the repository. Throws invalid_model. */
  load(choice: ModelChoice): Promise<Model>;
  /** SACCADE_MODELS. */
  readonly chosen: readonly string[];
  /** Those, as they were read when the process started. */
  readonly atStart: readonly Model[];
  /** The stages of this process, for who asks what runs. */
  readonly stages: readonly string[];
  readonly log: Log;
  readonly producer: LogProducer;
  readonly clock: Clock;
  /** Names this process among those that follow the topic. */
  readonly reader: string;
  readonly say: (message: string) => void;
}

interface Entry {
  /** As it came. */
  readonly model: Model;
  /** Of the version asked for now, which may be another one of the same shape. */
  readonly read: Model;
  /** That, with the thresholds asked for. */
  readonly current: Model;
  /** null: the version of the settings. */
  readonly version: string | null;
  readonly state: ModelState;
  readonly since: number;
}

const retryMs = 1_000;
/** Loading a model takes a while of a processor: what fails for good is not tried all the time. */
const firstAgainMs = 5_000;
const longestAgainMs = 5 * 60_000;

/** Resolves when all that was decided before is known. Throws log_unavailable. */
export async function openModelSet({ load, chosen, atStart: found, stages, say, ...at }: ModelSetOptions): Promise<LiveModels> {
  const { clock, reader } = at;
  const choices = new Map(chosen.map((text) => [parseModelChoice(text).name, parseModelChoice(text)]));
  const atStart = new Map(found.map((model) => [model.card.name, model]));
  const entries = new Map<string, Entry>();
  const controls = new Map<string, ModelControl>();
  const unread = new Map<string, string>();
  const failed = new Map<string, string>();
  const settled = new Map<string, ModelReport['models'][string]>();
  /** Times in a row that it could not be read or brought up, and those that are to be tried again. */
  const attempts = new Map<string, number>();
  const waiting = new Set<string>();
  const works = new Map<string, Promise<void>>();
  const resting = new AbortController();
  let apply: ((name: string) => Promise<Standing>) | null = null;
  /** The first round is done. */
  let begun = false;
  let changes: Promise<void> = Promise.resolve();
  let all: readonly Model[] = [];
  let offered: readonly string[] = [];

  const controlOf = (name: string): ModelControl => controls.get(name) ?? asItIs;

  function arrange(): void {
    const others = [...entries.keys()].filter((name) => !choices.has(name)).toSorted();
    const order = [...choices.keys(), ...others].flatMap((name) => entries.get(name) ?? []);
    const names = order.filter(({ state }) => state === 'served').map(({ model }) => model.card.name);
    if (order.length !== all.length || order.some(({ model }, i) => model !== all[i])) all = order.map(({ model }) => model);
    if (names.join() !== offered.join()) offered = names;
  }

  async function read(name: string, version: string | null): Promise<Model> {
    const known = atStart.get(name);
    // The settings' own, or what stands in for it, was found at the start.
    return version === null && known ? known : load({ name, version: version ?? choices.get(name)?.version ?? null });
  }

  function stateOf(name: string, { state }: ModelControl): ModelState {
    // Asked to go before it came: nothing was let in for it here.
    if (state === 'draining' && apply && !entries.has(name)) return 'gone';
    return state ?? (choices.has(name) ? 'served' : 'gone');
  }

  /** Brings a model's entry into line with what is written now. Never rejects. */
  async function take(name: string): Promise<void> {
    const control = topic.control(name);
    controls.set(name, control);
    const before = entries.get(name);
    const state = stateOf(name, control);
    if (state === 'gone') {
      entries.delete(name);
      unread.delete(name);
    } else {
      const { version, since } = control;
      const put = (model: Model, of: string | null): void => void entries.set(name, { model: before?.model ?? model, read: model, current: controlled(model, control), version: of, state, since });
      try {
        put(before?.version === version && !unread.has(name) ? before.read : await read(name, version), version);
        unread.delete(name);
      } catch (error) {
        trouble(unread, name, error);
        // Enough for all but to infer: that waits in its topic for a process that can.
        const known = asTold(name, control);
        const model = atStart.get(name);
        if (known) put(known, version);
        // What answers goes on.
        else if (before) entries.set(name, { ...before, state, since });
        else if (model) put(model, null);
      }
    }
    arrange();
    if (apply) settle(name);
  }

  /** What this process does about it, and then says. */
  function settle(name: string): void {
    const work = async (): Promise<void> => {
      if (resting.signal.aborted) return;
      const control = controlOf(name);
      const state = stateOf(name, control);
      const standing = await apply!(name).then(
        (well) => (failed.delete(name), well),
        (error: unknown): Standing => ({ version: null, trouble: trouble(failed, name, error) }),
      );
      if (state === 'gone') settled.delete(name);
      else settled.set(name, { state, since: control.since, ...standing, trouble: standing.trouble ?? unread.get(name) ?? null });
      if (state !== 'gone' && (failed.has(name) || unread.has(name))) later(name);
      else attempts.delete(name);
      // Half of what is served at the start would read as if the rest were gone.
      if (begun) await tell();
    };
    const next = (works.get(name) ?? Promise.resolve()).then(work);
    works.set(name, next);
  }

  function trouble(of: Map<string, string>, name: string, error: unknown): string {
    const why = asSaccadeError(error).detail || asSaccadeError(error).message;
    // Said once, however often it is tried again.
    if (of.get(name) !== why) say(`${name}: ${why}`);
    of.set(name, why);
    return why;
  }

  /** A folder that is still being copied, a log that was away: nobody would write the same into the topic once more. */
  function later(name: string): void {
    if (waiting.has(name)) return;
    waiting.add(name);
    const attempt = attempts.get(name) ?? 0;
    attempts.set(name, attempt + 1);
    void clock.sleep(Math.min(longestAgainMs, firstAgainMs * 2 ** attempt), resting.signal).then(() => {
      waiting.delete(name);
      if (!resting.signal.aborted && (failed.has(name) || unread.has(name))) changes = changes.then(() => take(name));
    });
  }

  async function tell(): Promise<void> {
    while (!resting.signal.aborted) {
      try {
        return await topic.report(reader, { stages: [...stages], offered: [...offered], models: Object.fromEntries(settled) });
      } catch {
        // The log is away; who waits for the report waits on.
        await clock.sleep(retryMs, resting.signal);
      }
    }
  }

  async function rest(): Promise<void> {
    resting.abort();
    await changes;
    await Promise.all(works.values());
  }

  let following = false;
  const topic: ModelsTopic = await followModelsTopic({
    ...at,
    say,
    // Whoever tidied up found its group empty for a moment, and took it for dead: commands wait for what it says.
    forgotten: (who) => void (who === reader && begun && tell()),
    changed(name) {
      if (following) changes = changes.then(() => take(name));
    },
  });
  following = true;
  for (const name of new Set([...choices.keys(), ...topic.names()])) changes = changes.then(() => take(name));
  await changes;

  return {
    all: () => all,
    offered: () => offered,
    leaving(name) {
      const entry = entries.get(name);
      return entry?.state === 'draining' ? entry.since : null;
    },
    find: (name) => entries.get(name)?.model ?? null,
    current: (model) => entries.get(model.card.name)?.current ?? model,
    control: controlOf,
    unreadable: (name) => (entries.has(name) ? null : (unread.get(name) ?? null)),
    degraded: () => Object.fromEntries([...new Map([...unread, ...failed])].map(([name, why]) => [`model ${name}`, why])),
    async caughtUp() {
      await topic.caughtUp();
      await changes;
    },
    async begin(act) {
      apply = act;
      await changes;
      // Of those that went meanwhile too: something may have been begun for them.
      for (const name of controls.keys()) settle(name);
      await Promise.all(works.values());
      begun = true;
      await tell();
    },
    rest,
    async close() {
      await rest();
      // A report that stays says nothing wrong: whoever reads it looks at who is alive.
      await topic.report(reader, null).catch(() => {});
      await topic.close();
    },
  };
}
