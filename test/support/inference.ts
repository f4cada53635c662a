/** Frames through the real preprocess and infer, with real models, on the in-process log. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import { memoryBlobs } from '../../connectors/blobs/memory.ts';
import { answerCache } from '../../connectors/cache/answers.ts';
import { cacheMetrics } from '../../connectors/cache/metrics.ts';
import { memoryLog } from '../../connectors/memory/log.ts';
import { loadModels } from '../../connectors/models/repository.ts';
import type { BlobStore, Cache } from '../../connectors/ports.ts';
import { fileRegistry } from '../../connectors/registry/files.ts';
import type { Engine } from '../../processors/infer/engine.ts';
import { inferStage } from '../../processors/infer/infer.ts';
import { preprocessConfig } from '../../processors/preprocess/config.ts';
import type { CacheRules } from '../../processors/preprocess/known.ts';
import { preprocessStage } from '../../processors/preprocess/preprocess.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { topology } from '../../processors/topology.ts';
import type { Model } from '../../schemas/model-card.ts';
import type { Frame, Prediction, Tensor } from '../../schemas/records.ts';
import { tensorTopic, topicSpecs } from '../../schemas/topics.ts';
import { eventually, pipelineOn, readAll } from './pipeline.ts';
import { always, engineWith } from './models.ts';
import { fixedModels } from '../../schemas/model-set.ts';

export const testModels = (wanted: readonly string[]): Promise<Model[]> => loadModels(fileURLToPath(new URL('../../models', import.meta.url)), wanted);
export const testEngine = (models: readonly Model[]): Promise<Engine> =>
  engineWith(models, systemClock);

export interface InferenceOptions {
  readonly models: readonly Model[];
  readonly engine: Engine;
  readonly cache: Cache | null;
  readonly rules?: Partial<CacheRules>;
  readonly maxPixels?: number;
  readonly fuse?: readonly (readonly [string, string])[];
}

export interface Inference {
  readonly blobs: BlobStore;
  /** Puts frames into the log, in this order, and answers their predictions in the order of `predictions`, once all are there. */
  ask(...frames: readonly Frame[]): Promise<Prediction[]>;
  tensors(model: string): Promise<Tensor[]>;
  /** Value of one of the cache's counters. */
  counted(counter: 'lookups' | 'writes', model: string, outcome: string): Promise<number>;
  stop(): Promise<void>;
}

export async function inference({ models, engine, cache, rules, maxPixels, fuse = [] }: InferenceOptions): Promise<Inference> {
  for (const model of models) await engine.load(model);
  const log = memoryLog();
  const registry = fileRegistry();
  const names = models.map(({ card }) => card.name);
  const topics = topicSpecs(names, { partitions: 4, replication: 1, minInSync: 1, maxRecordBytes: 8 * 1024 * 1024 });
  await log.ensureTopics(topics);
  await registry.prepare(topics);
  const blobs = memoryBlobs();
  const metrics = new Registry();
  const answers = cache && answerCache({ cache, ttlMs: 600_000, metrics: cacheMetrics(metrics) });
  const limits = preprocessConfig.parse(maxPixels === undefined ? {} : { maxPixels });
  const unused = (): never => assert.fail('not part of this pipeline');
  const steps = topology(['preprocess', 'infer'], models, {
    ingest: unused,
    sink: unused,
    keep: unused,
    drift: unused,
    preprocess: () => preprocessStage({ models: fixedModels(models), blobs, limits, clock: systemClock, cache: answers && { answers, live: false, except: [], ...rules } }),
    overflow: () => (preprocess) => ({ ...preprocess, name: 'preprocess.overflow' }),
    infer: () => (model) => inferStage({ serving: always(model), engine, clock: systemClock, answers }),
  });
  const pipeline = await pipelineOn(log, steps, { registry, fuse, blobs });
  await pipeline.start();
  const producer = await log.producer();

  async function read<T>(topic: string): Promise<T[]> {
    const records = await readAll(log, topic);
    return Promise.all(records.map(async ({ value }) => (await registry.decode(topic, value!)) as T));
  }

  return {
    blobs,
    async ask(...frames) {
      await producer.send(await Promise.all(frames.map(async (frame) => ({ topic: 'frames', key: frame.source, value: await registry.encode('frames', frame) }))));
      const ids = new Set(frames.map(({ id }) => id));
      const wanted = frames.reduce((sum, frame) => sum + new Set(frame.models).size, 0);
      let found: Prediction[] = [];
      await eventually(async () => {
        found = (await read<Prediction>('predictions')).filter(({ frame_id }) => ids.has(frame_id));
        return found.length >= wanted;
      }, `${wanted} predictions`);
      assert.equal(found.length, wanted);
      return found;
    },
    tensors: (model) => read<Tensor>(tensorTopic(model)),
    async counted(counter, model, outcome) {
      const metric = await metrics.getSingleMetric(`saccade_cache_${counter}_total`)!.get();
      return metric.values.find(({ labels }) => labels.model === model && labels.outcome === outcome)?.value ?? 0;
    },
    async stop() {
      await pipeline.stop(5_000);
      await producer.close();
      await log.close();
      await cache?.close();
    },
  };
}
