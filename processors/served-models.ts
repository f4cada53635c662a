/** The models of a process that infers: read from the repository and run by one engine, as the set of models asks for them. */
import { isDeepStrictEqual } from 'node:util';
import type { Registry } from 'prom-client';
import { SaccadeError } from '../connectors/errors.ts';
import { type ModelChoice, parseModelChoice } from '../connectors/models/model-choice.ts';
import type { Repository } from '../connectors/models/repository.ts';
import type { Clock } from '../connectors/ports.ts';
import { keyOf, type Model } from '../schemas/model-card.ts';
import type { ModelControl } from '../schemas/model-control.ts';
import type { Config } from './config.ts';
import { inferConfig, type InferConfig } from './infer/config.ts';
import { createEngine, type Engine } from './infer/engine.ts';
import { checkGolden, type CutPicture } from './infer/golden.ts';
import { inferMetrics } from './infer/metrics.ts';
import { type Fallback, type Served, type Serving, startServing } from './infer/serving.ts';
import type { LiveModels } from './model-set.ts';
import { preprocessConfig } from './preprocess/config.ts';
import { decodeImage } from './preprocess/decode.ts';
import { cutTensor } from './preprocess/tensor.ts';

export interface ServedModels {
  readonly engine: Engine;
  /** By the model's name; one for as long as the process lives, also where the model leaves and comes back. Throws unknown_model. */
  serving(name: string): Serving;
  /** What answers under the name now; null: nothing does. */
  answering(name: string): Served | null;
  /** Brings what answers under the name into line with what is asked for. Throws invalid_model when it is asked for and nothing answers. */
  follow(name: string): Promise<void>;
  /** Version, execution provider and rows of a run, for a person; null: nothing answers. */
  describe(name: string): string | null;
  /** Those that answer though their cards name no picture to try them on, NAME@VERSION. */
  unchecked(): string[];
  /** What is not served as it was asked for, by model. */
  degraded(): Record<string, string>;
  close(): Promise<void>;
}

export interface ServedModelsOptions {
  readonly repository: Repository;
  readonly settings: Config['settings'];
  readonly engine: InferConfig;
  readonly models: Pick<LiveModels, 'all' | 'find' | 'control'>;
  readonly clock: Clock;
  readonly metrics: Registry;
  readonly say: (message: string) => void;
  /** The worker's code; another one only for tests of a worker that dies. */
  readonly entry?: URL;
}

export function engineSettings({ settings: s, given }: Config): InferConfig {
  return inferConfig.parse({
    workers: s.SACCADE_INFER_WORKERS ?? null,
    intraOpThreads: s.SACCADE_INFER_THREADS ?? null,
    maxBatch: s.SACCADE_INFER_BATCH ?? null,
    delayMs: s.SACCADE_INFER_DELAY_MS ?? null,
    fold: s.SACCADE_INFER_FOLD,
    ...(given.has('SACCADE_PROVIDERS') ? { providers: s.SACCADE_PROVIDERS } : {}),
  });
}

/** The models of the settings as the topics and preprocess know them. Throws invalid_model. */
export const readModels = (repository: Repository, settings: Config['settings']): Promise<Model[]> =>
  Promise.all(settings.SACCADE_MODELS.map((wanted) => readModel(repository, settings, parseModelChoice(wanted))));

/** A model, or its fallback where it is not what its card says. Throws invalid_model. */
export async function readModel(repository: Repository, { SACCADE_FALLBACK }: Pick<Config['settings'], 'SACCADE_FALLBACK'>, choice: ModelChoice): Promise<Model> {
  try {
    return await repository.load(choice);
  } catch (error) {
    const fallback = await fallbackOf(repository, SACCADE_FALLBACK, choice).catch(() => null);
    if (!fallback) throw error;
    return repository.load({ name: choice.name, version: fallback.version });
  }
}

async function fallbackOf(repository: Repository, set: readonly string[] = [], choice: ModelChoice): Promise<Fallback | null> {
  const card = await repository.card(choice).catch(() => null);
  const failing = choice.version ?? card?.version ?? await repository.usual(choice.name);
  const own = set.map(parseModelChoice).find(({ name, version }) => name === choice.name && version !== failing)?.version ?? null;
  const version = own ?? card?.fallback ?? null;
  return version === null ? null : { failing, version };
}

export const cutPicture: CutPicture = async (image, { card }) =>
  cutTensor(await decodeImage(image, [card.input], preprocessConfig.parse({})), card.input);

/** Reads the picture a card names, and refuses a model that does not answer it as it says. */
export async function checkModel(repository: Repository, engine: Engine, model: Model): Promise<void> {
  const image = await repository.golden(model);
  if (image) await checkGolden(engine, model, cutPicture, image);
}

/**
 * Resolves when every model answers, as the topic says. Throws invalid_model for one that the settings name; one that was loaded
 * while others ran does not keep those from their work.
 */
export async function openServedModels(options: ServedModelsOptions): Promise<ServedModels> {
  const { repository, settings: s, models, clock, say } = options;
  const servings = new Map<string, Serving>();
  const applied = new Map<string, ModelControl>();
  const choices = s.SACCADE_MODELS.map(parseModelChoice);
  const { entry } = options;
  const up = (): [string, Serving][] => [...servings].filter(([, { idle }]) => !idle);
  const engine = createEngine({
    ...options.engine,
    clock,
    log: say,
    ...(entry ? { entry } : {}),
    lost: (key, reason) => up().find(([, one]) => keyOf(one.current().model) === key)?.[1].lost(reason),
  });

  async function begin(name: string): Promise<void> {
    const version = choices.find((choice) => choice.name === name)?.version ?? null;
    const serving = await startServing({
      name,
      read: (asked) => repository.load({ name, version: asked ?? version }),
      check: (model) => checkModel(repository, engine, model),
      engine,
      fallbackOf: (asked) => fallbackOf(repository, s.SACCADE_FALLBACK, { name, version: asked ?? version }),
      control: models.control(name),
      log: say,
    });
    servings.set(name, serving);
  }

  async function follow(name: string): Promise<void> {
    const serving = servings.get(name);
    if (!models.find(name)) return serving?.leave();
    const control = models.control(name);
    const before = applied.get(name);
    applied.set(name, control);
    if (!serving) return begin(name);
    // Another state alone is nothing to what answers; the same written again is a wish to try again.
    const onlyState = before !== undefined && (before.state !== control.state || control.state === 'draining') && isDeepStrictEqual({ ...before, state: null, since: 0 }, { ...control, state: null, since: 0 });
    if (serving.idle || (before !== control && !onlyState)) await serving.apply(control);
  }

  function answering(name: string): Served | null {
    const found = servings.get(name);
    return found && !found.idle ? found.current() : null;
  }

  const close = async (): Promise<void> => {
    await Promise.all([...servings.values()].map((serving) => serving.close()));
    await engine.close();
  };

  try {
    for (const { card: { name } } of models.all()) {
      await follow(name).catch((error: unknown) => {
        if (choices.some((choice) => choice.name === name)) throw error;
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  inferMetrics(options.metrics, engine, () => servings.values());
  return {
    engine,
    serving(name) {
      const found = servings.get(name);
      if (!found) throw new SaccadeError('unknown_model', name);
      return found;
    },
    answering,
    follow,
    describe(name) {
      const running = answering(name);
      if (!running) return null;
      const { model } = running;
      const { provider, policy } = engine.about(model);
      return `${keyOf(model)} on ${provider}${policy.rows > 1 ? `, up to ${policy.rows} rows a run` : ''}`;
    },
    unchecked: () => up().map(([, serving]) => serving.current().model).filter(({ card }) => !card.golden).map(keyOf),
    degraded: () => Object.fromEntries(up().flatMap(([name, serving]) => (serving.degraded() ? [[`model ${name}`, serving.degraded()!]] : []))),
    close,
  };
}
