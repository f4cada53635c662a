/** The models of a process that infers: read from the repository, run by one engine, and steered by the topic `models`. */
import type { Registry } from 'prom-client';
import { SaccadeError } from '../connectors/errors.ts';
import { type ModelChoice, parseModelChoice } from '../connectors/models/model-choice.ts';
import type { Repository } from '../connectors/models/repository.ts';
import type { Clock, Log, LogProducer } from '../connectors/ports.ts';
import { keyOf, type Model } from '../schemas/model-card.ts';
import type { Config } from './config.ts';
import { inferConfig, type InferConfig } from './infer/config.ts';
import { createEngine, type Engine } from './infer/engine.ts';
import { checkGolden, type CutPicture } from './infer/golden.ts';
import { inferMetrics } from './infer/metrics.ts';
import { type Fallback, type Serving, startServing } from './infer/serving.ts';
import { followModelsTopic, type ModelsTopic } from './models-topic.ts';
import { preprocessConfig } from './preprocess/config.ts';
import { decodeImage } from './preprocess/decode.ts';
import { cutTensor } from './preprocess/tensor.ts';

export interface ServedModels {
  readonly engine: Engine;
  /** By the model's name. */
  serving(name: string): Serving;
  /** Version, execution provider and rows of a run, for a person. */
  describe(name: string): string;
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
  readonly log: Log;
  readonly producer: LogProducer;
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

/**
 * The models of the settings as the topics and preprocess know them; where one is not what its card says, its fallback.
 * Throws invalid_model.
 */
export function readModels(repository: Repository, { SACCADE_MODELS, SACCADE_FALLBACK }: Config['settings']): Promise<Model[]> {
  return Promise.all(
    SACCADE_MODELS.map(async (wanted) => {
      const choice = parseModelChoice(wanted);
      try {
        return await repository.load(choice);
      } catch (error) {
        const fallback = await fallbackOf(repository, SACCADE_FALLBACK, choice);
        if (!fallback) throw error;
        return repository.load({ name: choice.name, version: fallback.version });
      }
    }),
  );
}

async function fallbackOf(repository: Repository, set: readonly string[] = [], choice: ModelChoice): Promise<Fallback | null> {
  const card = await repository.card(choice).catch(() => null);
  const failing = choice.version ?? card?.version ?? (await repository.versions(choice.name)).at(-1)!;
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

/** Resolves when every model answers, as the topic says. Throws invalid_model, log_unavailable. */
export async function openServedModels(options: ServedModelsOptions): Promise<ServedModels> {
  const { repository, settings: s, log, producer, clock, say } = options;
  const servings = new Map<string, Serving>();
  const { entry } = options;
  const engine = createEngine({
    ...options.engine,
    clock,
    log: say,
    ...(entry ? { entry } : {}),
    lost: (key, reason) => [...servings.values()].find((one) => keyOf(one.current().model) === key)?.lost(reason),
  });
  let topic: ModelsTopic | null = null;

  const close = async (): Promise<void> => {
    await topic?.close();
    await Promise.all([...servings.values()].map((serving) => serving.close()));
    await engine.close();
  };

  try {
    topic = await followModelsTopic({ log, producer, clock, say, changed: (name, control) => void servings.get(name)?.apply(control) });
    for (const { name, version } of s.SACCADE_MODELS.map(parseModelChoice)) {
      const control = topic.control(name);
      const serving = await startServing({
        name,
        read: (asked) => repository.load({ name, version: asked ?? version }),
        check: (model) => checkModel(repository, engine, model),
        engine,
        fallbackOf: (asked) => fallbackOf(repository, s.SACCADE_FALLBACK, { name, version: asked ?? version }),
        control,
        log: say,
      });
      servings.set(name, serving);
      // Written while it was loading.
      const now = topic.control(name);
      if (JSON.stringify(now) !== JSON.stringify(control)) await serving.apply(now);
    }
  } catch (error) {
    await close();
    throw error;
  }
  inferMetrics(options.metrics, engine, [...servings.values()]);
  return {
    engine,
    serving(name) {
      const found = servings.get(name);
      if (!found) throw new SaccadeError('unknown_model', name);
      return found;
    },
    describe(name) {
      const { model } = servings.get(name)!.current();
      const { provider, policy } = engine.about(model);
      return `${keyOf(model)} on ${provider}${policy.rows > 1 ? `, up to ${policy.rows} rows a run` : ''}`;
    },
    unchecked: () => [...servings.values()].map((serving) => serving.current().model).filter(({ card }) => !card.golden).map(keyOf),
    degraded: () => Object.fromEntries([...servings].flatMap(([name, serving]) => (serving.degraded() ? [[`model ${name}`, serving.degraded()!]] : []))),
    close,
  };
}
