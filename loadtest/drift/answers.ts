/** What the real models say of footage, through preprocess and infer themselves; kept in a file, since it takes minutes. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import { memoryBlobs } from '../../connectors/blobs/memory.ts';
import { loadModels } from '../../connectors/models/repository.ts';
import { inferConfig } from '../../processors/infer/config.ts';
import { createEngine } from '../../processors/infer/engine.ts';
import { inferStage } from '../../processors/infer/infer.ts';
import { preprocessConfig } from '../../processors/preprocess/config.ts';
import { preprocessStage } from '../../processors/preprocess/preprocess.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import type { Input, Outcome } from '../../processors/stage.ts';
import type { Frame, Prediction, Tensor } from '../../schemas/records.ts';
import { always } from '../../test/support/models.ts';
import { fixedModels } from '../../schemas/model-set.ts';

export const modelNames = ['efficientnet-lite0', 'nanodet'] as const;

/** By model; of the frames in their order. */
export type Answers = Record<(typeof modelNames)[number], Prediction[]>;

export interface Asked {
  readonly answers: Answers;
  /** CPU of decoding, cutting and inference for a frame and both models, milliseconds. */
  readonly cpuMs: number;
}

const together = 16;
const inputOf = <T>(value: T, offset: number): Input<T> =>
  ({ value, key: 'camera', headers: {}, origin: { cluster: 'bench', topic: 'bench', partition: 0, offset, timestamp: 0 }, bytes: 1, receivedAt: Date.now(), attempt: 1 });

const frameOf = (image: Buffer, i: number): Frame => ({
  id: `00000000-0000-8000-8000-${i.toString(16).padStart(12, '0')}`,
  tenant: 'default', source: 'camera', sequence: i, captured_at: i * 100, accepted_at: i * 100, deadline: null, reply: null,
  content_type: 'image/jpeg', size: image.length, image, claim: null, models: [...modelNames],
});

const emitted = (outcome: Outcome) => {
  if (outcome.kind !== 'emit') throw new Error(`a frame of the footage ended as ${outcome.kind}`);
  return outcome.records;
};

/** Answers for each named lot of frames, those that are in the file from there. `lots` are made only when they are needed. */
export async function askModels(lots: ReadonlyMap<string, () => Promise<Buffer[]>>, cacheFolder: string, key: string, say: (line: string) => void): Promise<Map<string, Asked>> {
  const fileOf = (name: string): string => join(cacheFolder, `${createHash('sha256').update(`${key}\n${name}`).digest('hex').slice(0, 20)}.v8`);
  const found = new Map<string, Asked>();
  const missing = [...lots].filter(([name]) => !existsSync(fileOf(name)));
  if (missing.length > 0) {
    const models = await loadModels(fileURLToPath(new URL('../../models', import.meta.url)), [...modelNames]);
    const engine = createEngine({ ...inferConfig.parse({ workers: 2, providers: ['cpu'], maxBatch: 1 }), clock });
    try {
      for (const model of models) await engine.load(model);
      const preprocess = preprocessStage({ models: fixedModels(models), blobs: memoryBlobs(), limits: preprocessConfig.parse({}), clock });
      const stages = models.map((model) => inferStage({ serving: always(model), engine, clock }));
      for (const [name, make] of missing) {
        const asked = await ask(await make(), preprocess, stages);
        mkdirSync(dirname(fileOf(name)), { recursive: true });
        writeFileSync(`${fileOf(name)}.new`, serialize(asked));
        // Whole or not at all: one that was interrupted must not pass for the answers.
        renameSync(`${fileOf(name)}.new`, fileOf(name));
        say(`${name}: ${asked.answers.nanodet.length} frames, ${asked.cpuMs.toFixed(1)} ms of CPU each`);
      }
    } finally {
      await engine.close();
    }
  }
  for (const name of lots.keys()) {
    const asked = deserialize(readFileSync(fileOf(name))) as Asked;
    // Buffers come back as plain bytes.
    for (const predictions of Object.values(asked.answers)) for (const p of predictions) p.embedding = p.embedding && Buffer.from(p.embedding);
    found.set(name, asked);
  }
  return found;
}

async function ask(images: readonly Buffer[], preprocess: ReturnType<typeof preprocessStage>, stages: readonly ReturnType<typeof inferStage>[]): Promise<Asked> {
  const { signal } = new AbortController();
  const answers: Answers = { 'efficientnet-lite0': [], nanodet: [] };
  const before = process.cpuUsage();
  for (let at = 0; at < images.length; at += together) {
    const frames = images.slice(at, at + together).map((image, i) => inputOf(frameOf(image, at + i), at + i));
    const tensors = (await preprocess.process(frames, signal)).flatMap(emitted);
    for (const [m, stage] of stages.entries()) {
      const name = modelNames[m]!;
      const own = tensors.filter(({ output }) => output === name).map(({ value }, i) => inputOf(value as Tensor, i));
      answers[name].push(...(await stage.process(own, signal)).flatMap(emitted).map(({ value }) => value as Prediction));
    }
  }
  const { user, system } = process.cpuUsage(before);
  return { answers, cpuMs: (user + system) / 1000 / images.length };
}
