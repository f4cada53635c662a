/** The models that come with Saccade, in a real engine. */
import { fileURLToPath } from 'node:url';
import { loadModels } from '../../connectors/models/repository.ts';
import type { Clock } from '../../connectors/ports.ts';
import { inferConfig } from '../../processors/infer/config.ts';
import { createEngine, type Engine, type EngineOptions, type RowInput } from '../../processors/infer/engine.ts';
import type { Serving } from '../../processors/infer/serving.ts';
import type { Model } from '../../schemas/model-card.ts';

export const modelsRoot = fileURLToPath(new URL('../../models', import.meta.url));
export const modelsNamed = (...wanted: string[]): Promise<Model[]> => loadModels(modelsRoot, wanted);

/** On the CPU, two workers, row by row, unless told otherwise; with the models loaded in this order. */
export async function engineWith(models: readonly Model[], clock: Clock, options: Partial<EngineOptions> = {}): Promise<Engine> {
  const engine = createEngine({ ...inferConfig.parse({ workers: 2, providers: ['cpu'], maxBatch: 1 }), clock, ...options });
  try {
    for (const model of models) await engine.load(model);
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

export const row = (pixels: Uint8Array, about: Partial<RowInput> = {}): RowInput => ({ pixels, source: 'cam', urgent: false, deadline: null, ...about });

/** One version for ever. */
export const always = (model: Model): Serving => ({
  name: model.card.name,
  current: () => ({ model, insteadOf: null }),
  idle: false,
  apply: async () => {},
  leave: async () => {},
  crashed() {},
  answered() {},
  lost() {},
  second: async () => null,
  degraded: () => null,
  close: async () => {},
});
