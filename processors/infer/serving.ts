/** One model as it is served: which version answers, with which thresholds, and what stands in when that one fails. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import { asItIs, controlled, type ModelControl, unknownClasses } from '../../schemas/model-control.ts';
import type { Engine } from './engine.ts';

/** What answers now. A batch takes it once, so that a switch falls between two batches. */
export interface Served {
  readonly model: Model;
  /** The version this one stands in for, or null. */
  readonly insteadOf: string | null;
}

export interface ServingOptions {
  readonly name: string;
  /** Read from the repository and checked. `version` null: that of the settings. Throws invalid_model. */
  readonly read: (version: string | null) => Promise<Model>;
  /** Throws invalid_model when it does not answer as it should. */
  readonly check: (model: Model) => Promise<void>;
  readonly engine: Engine;
  /** What stands in for this version (null: that of the settings), by the settings or its card; null for none. */
  readonly fallbackOf: (version: string | null) => Promise<Fallback | null>;
  /** What the topic says at the start. */
  readonly control?: ModelControl;
  readonly log: (message: string) => void;
}

export interface Fallback {
  readonly failing: string;
  readonly version: string;
}

export interface Serving {
  readonly name: string;
  /** Throws unknown_model while nothing answers. */
  current(): Served;
  /** Nothing answers: it has been left, and not been asked for again. */
  readonly idle: boolean;
  /**
   * Brings up what is asked for beside what answers, then switches: what cannot be served changes nothing, and is told. Where
   * nothing answers it begins anew, and throws what startServing throws.
   */
  apply(control: ModelControl): Promise<void>;
  /** Releases what answers once all that waits for it is answered; nothing does from then on, until something is asked for again. */
  leave(): Promise<void>;
  /** A record ended a worker; `first`: for the first time. After several of them the fallback answers from then on. */
  crashed(first: boolean): void;
  answered(): void;
  /** Its graph cannot be loaded any more. */
  lost(reason: string): void;
  /** The fallback for a record that ended workers again and again; null when there is none. */
  second(): Promise<Served | null>;
  /** What is not as it was asked for, or null. */
  degraded(): string | null;
  close(): Promise<void>;
}

/** Records that ended a worker, with no answer in between, after which it is the model and not the records. */
const victimsToFallBack = 3;

/** Resolves when a version answers: the one asked for, or its fallback. Throws what is wrong with the one asked for when neither does. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { name, read, check, engine, log } = options;
  let changes: Promise<unknown> = Promise.resolve();
  let control = options.control ?? asItIs;
  /** As its card says; `served` has the thresholds of the control. */
  let loaded: Model | null = null;
  let standIn: Model | null = null;
  let served: Served | null = null;
  let trouble: string | null = null;
  let victims = 0;
  let closed = false;

  async function bringUp(version: string | null): Promise<Model> {
    const model = await read(version);
    await engine.load(model);
    try {
      await check(model);
    } catch (error) {
      await engine.unload(model);
      throw error;
    }
    return model;
  }

  function serve(model: Model, insteadOf: string | null): void {
    const unknown = unknownClasses(control, model);
    loaded = model;
    victims = 0;
    served = { model: controlled(model, control), insteadOf };
    if (unknown.length > 0) log(`${keyOf(model)} has no class ${unknown.join(', ')}: their thresholds decide nothing`);
  }

  /** What was brought up for a while, or answered before. */
  async function release(...models: (Model | null)[]): Promise<void> {
    for (const model of models) if (model && model !== loaded && model !== standIn) await engine.unload(model);
  }

  const say = (what: string): void => {
    trouble = what;
    log(what);
  };

  async function change(next: ModelControl): Promise<void> {
    control = next;
    if (loaded === null) return begin();
    // Without a version: that of the settings; whatever answers now may be it, or stand in for it.
    const wanted = await read(next.version).catch((error: unknown) => asSaccadeError(error, 'invalid_model'));
    if (!(wanted instanceof SaccadeError) && wanted.card.version === loaded.card.version) {
      trouble = null;
      return serve(loaded, null);
    }
    const before: Model = loaded;
    try {
      if (wanted instanceof SaccadeError) throw wanted;
      fits(wanted, before);
      const upcoming = await bringUp(next.version);
      serve(upcoming, null);
      trouble = null;
      log(`${keyOf(upcoming)} answers now, in place of ${keyOf(before)}`);
      const old = standIn;
      standIn = null;
      await release(before, old);
    } catch (error) {
      const version = wanted instanceof SaccadeError ? next.version : wanted.card.version;
      serve(before, version);
      say(`${name}@${version ?? 'highest'} cannot be served, ${keyOf(before)} answers instead: ${asSaccadeError(error).detail}`);
    }
  }

  /** Null when there is nothing that could stand in for what answers. */
  async function bringUpSecond(): Promise<Model | null> {
    if (standIn || loaded === null || served === null) return standIn;
    // One that stands in has nobody behind it: two that point at each other would take turns for ever.
    const fallback = served.insteadOf === null ? await options.fallbackOf(loaded.card.version) : null;
    if (!fallback) return null;
    fits(await read(fallback.version), loaded);
    return (standIn = await bringUp(fallback.version));
  }

  async function fallBack(failing: Model, reason: string): Promise<void> {
    // Others have asked for the same meanwhile.
    if (loaded !== failing || closed) return;
    try {
      const second = await bringUpSecond();
      if (!second) return;
      serve(second, failing.card.version);
      standIn = null;
      say(`${keyOf(failing)} is out, ${keyOf(second)} answers instead: ${reason}`);
      await release(failing);
    } catch (error) {
      say(`${keyOf(failing)}: ${reason}; its fallback fails too: ${asSaccadeError(error).detail}`);
    }
  }

  function serially<T>(work: () => Promise<T>): Promise<T> {
    const done = changes.then(work);
    changes = done.catch(() => {});
    return done;
  }

  async function begin(): Promise<void> {
    try {
      serve(await bringUp(control.version), null);
      trouble = null;
    } catch (thrown) {
      const error = asSaccadeError(thrown, 'invalid_model');
      const fallback = await options.fallbackOf(control.version);
      if (!fallback) throw error;
      const second = await bringUp(fallback.version).catch(() => Promise.reject(error));
      serve(second, fallback.failing);
      say(`${name}@${fallback.failing} cannot be served, ${keyOf(second)} answers instead: ${error.detail}`);
    }
  }

  async function leave(): Promise<void> {
    const left = [loaded, standIn];
    loaded = null;
    served = null;
    standIn = null;
    trouble = null;
    await release(...left);
  }

  await begin();
  return {
    name,
    current() {
      if (!served) throw new SaccadeError('unknown_model', name);
      return served;
    },
    get idle() {
      return served === null;
    },
    apply: (next) => serially(() => change(next)),
    leave: () => serially(leave),
    crashed(first) {
      if (first) victims += 1;
      if (victims < victimsToFallBack) return;
      const failing = loaded;
      if (failing) void serially(() => fallBack(failing, `it ended its worker on ${victimsToFallBack} records running`));
    },
    answered: () => void (victims = 0),
    lost(reason) {
      const failing = loaded;
      if (failing) void serially(() => fallBack(failing, reason));
    },
    second: () =>
      serially(async () => {
        const insteadOf = loaded?.card.version ?? null;
        const model = await bringUpSecond().catch(() => null);
        return model && { model: controlled(model, control), insteadOf };
      }),
    degraded: () => trouble,
    async close() {
      closed = true;
      await changes;
    },
  };
}

/** The topic's tensors are cut for the version that was served when the model came. */
export function fits(next: Model, before: Model): void {
  const [a, b] = [next, before].map(({ card: { input, task } }) => JSON.stringify([task, input.height, input.width, input.fit]));
  if (a !== b) throw new SaccadeError('invalid_model', `${keyOf(next)} takes another input or has another task than ${keyOf(before)}: unload ${before.card.name}, and then load ${keyOf(next)}.`);
}
