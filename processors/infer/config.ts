import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { usableCpus } from './cpus.ts';

const count = z.number().int().min(1).max(256);

const shape = z.strictObject({
  /** Worker threads that run models on the CPU, one run each at a time. Default: as many as the processors allow. */
  workers: count.nullable().default(null),
  /** Threads inside one run of a model. More than 1 shortens one answer and lowers the sum of answers. Default: what the workers leave over. */
  intraOpThreads: count.nullable().default(null),
  /** Execution providers, tried in order. Default: cuda, where its library is installed, then cpu. */
  providers: z.array(z.enum(['cuda', 'tensorrt', 'coreml', 'dml', 'webgpu', 'cpu'])).min(1).default(defaultProviders),
  /** Rows joined in one run, at most. Default: what pays on this machine, measured when the model is loaded. */
  maxBatch: z.number().int().min(1).max(1024).nullable().default(null),
  /** How long a row waits for company. Default: no longer than company saves it, measured too. */
  delayMs: z.number().int().min(0).max(1000).nullable().default(null),
  /** Graphs are made faster when they are loaded, where that is known how (fold/); their files stay as they are. */
  fold: z.boolean().default(true),
  /** Bytes of pixels that may wait for a worker; more are refused and offered again later. */
  queueBytes: z.number().int().positive().default(64 * 1024 * 1024),
});

/** Workers x threads is what the process may use: one worker for each processor of one thread, unless either is set. */
export const inferConfig = shape.transform(({ workers, intraOpThreads, ...rest }) => {
  const cpus = usableCpus();
  const threads = intraOpThreads ?? (workers === null ? 1 : Math.max(1, Math.floor(cpus / workers)));
  return { ...rest, workers: workers ?? Math.max(1, Math.floor(cpus / threads)), intraOpThreads: threads };
});

export type InferConfig = z.infer<typeof inferConfig>;
export type Provider = InferConfig['providers'][number];

/** ONNX Runtime writes errors of its own to stderr when it is asked for a library that is not there: so we look first. */
function defaultProviders(): Provider[] {
  const home = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const library = join(home, 'bin', 'napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so');
  return existsSync(library) ? ['cuda', 'cpu'] : ['cpu'];
}
