import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { usableCpus } from './cpus.ts';

export const inferConfig = z.strictObject({
  /** Worker threads that run models on the CPU, one row each at a time. Default: one for each processor. */
  workers: z.number().int().min(1).max(256).default(usableCpus),
  /** Threads inside one run of a model. More than 1 shortens one answer and lowers the sum of answers. */
  intraOpThreads: z.number().int().min(1).max(256).default(1),
  /** Execution providers, tried in order. Default: cuda, where its library is installed, then cpu. */
  providers: z.array(z.enum(['cuda', 'tensorrt', 'coreml', 'dml', 'webgpu', 'cpu'])).min(1).default(defaultProviders),
  /** Rows joined in one run, at most. Default: 1 on the CPU, which gains nothing from more, 32 elsewhere. */
  maxBatch: z.number().int().min(1).max(1024).nullable().default(null),
  /** Bytes of pixels that may wait for a worker; more are refused and offered again later. */
  queueBytes: z.number().int().positive().default(64 * 1024 * 1024),
});

export type InferConfig = z.infer<typeof inferConfig>;
export type Provider = InferConfig['providers'][number];

/** ONNX Runtime writes errors of its own to stderr when it is asked for a library that is not there: so we look first. */
function defaultProviders(): Provider[] {
  const home = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const library = join(home, 'bin', 'napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so');
  return existsSync(library) ? ['cuda', 'cpu'] : ['cpu'];
}
