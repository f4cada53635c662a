/** A worker thread: ONNX Runtime blocks the thread it runs on, so this one answers nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { FromWorker, RowAnswer, ToWorker, WorkerSetup } from './messages.ts';

type ModelSetup = WorkerSetup['models'][number];
interface Loaded {
  readonly setup: ModelSetup;
  readonly session: InferenceSession;
}

const { models, providers, intraOpThreads } = workerData as WorkerSetup;
const port = parentPort!;

function say(message: FromWorker): void {
  const moved = message.kind === 'answers' ? message.rows.flatMap((row) => ('outputs' in row ? Object.values(row.outputs).map(({ buffer }) => buffer) : [])) : [];
  port.postMessage(message, moved);
}

/** Sessions of all models on one provider, or the reason it will not do; nothing is left open then. */
async function load(provider: string): Promise<{ loaded: Map<string, Loaded>; warmMs: Record<string, number> }> {
  const loaded = new Map<string, Loaded>();
  const warmMs: Record<string, number> = {};
  try {
    for (const setup of models) {
      const session = await InferenceSession.create(setup.path, {
        executionProviders: [provider],
        graphOptimizationLevel: 'all',
        executionMode: 'sequential',
        intraOpNumThreads: intraOpThreads,
        interOpNumThreads: 1,
        logSeverityLevel: 3,
      });
      const model = { setup, session };
      loaded.set(setup.name, model);
      warmMs[setup.name] = await warmUp(model);
    }
  } catch (error) {
    await release(loaded);
    throw error;
  }
  return { loaded, warmMs };
}

/** The first run allocates and may compile; the second tells what a row costs. Refuses a graph that is not what its card says. */
async function warmUp(model: Loaded): Promise<number> {
  const { name, path, input, outputs } = model.setup;
  const grey = (): Uint8Array<ArrayBuffer> => new Uint8Array(input.height * input.width * 3).fill(127);
  const first = await runOnce(model, 1, grey());
  for (const [output, shape] of Object.entries(outputs)) {
    const { dims, type } = first[output]!;
    const found = `[${['N', ...dims.slice(1)].join(',')}]`;
    if (type !== 'float32' || found !== shape.replaceAll(' ', '')) {
      throw new TypeError(`${path}: output ${output} of ${name} is ${type} ${found}, card.json says float32 ${shape}`);
    }
  }
  const started = performance.now();
  await runOnce(model, 1, grey());
  return performance.now() - started;
}

async function runOnce({ setup, session }: Loaded, rows: number, pixels: Uint8Array<ArrayBuffer>): Promise<InferenceSession.OnnxValueMapType> {
  const { name, height, width } = setup.input;
  return session.run({ [name]: new Tensor('uint8', pixels, [rows, height, width, 3]) }, Object.keys(setup.outputs));
}

async function answer(model: Loaded, rows: number, pixels: Uint8Array<ArrayBuffer>): Promise<RowAnswer[]> {
  try {
    return split(await runOnce(model, rows, pixels), rows);
  } catch (error) {
    if (rows === 1) return [{ failure: error instanceof Error ? error.message : String(error) }];
    // One bad row, or a batch the device has no memory for: each row gets its own chance.
    const size = pixels.length / rows;
    const alone: RowAnswer[] = [];
    for (let row = 0; row < rows; row++) alone.push(...(await answer(model, 1, pixels.slice(row * size, (row + 1) * size))));
    return alone;
  }
}

function split(outputs: InferenceSession.OnnxValueMapType, rows: number): RowAnswer[] {
  return Array.from({ length: rows }, (_, row) => {
    const own = Object.entries(outputs).map(([name, { data }]): [string, Float32Array<ArrayBuffer>] => {
      const all = data as Float32Array<ArrayBuffer>;
      const size = all.length / rows;
      return [name, all.slice(row * size, (row + 1) * size)];
    });
    return { outputs: Object.fromEntries(own) };
  });
}

async function release(loaded: Map<string, Loaded>): Promise<void> {
  for (const { session } of loaded.values()) await session.release();
}

async function main(): Promise<void> {
  const refused: string[] = [];
  for (const provider of providers) {
    try {
      const { loaded, warmMs } = await load(provider);
      port.on('message', async (message: ToWorker) => {
        if (message.kind === 'run') {
          const started = performance.now();
          const rows = await answer(loaded.get(message.model)!, message.rows, message.pixels);
          say({ kind: 'answers', ms: performance.now() - started, rows });
        } else {
          // In this order: a process that exits while sessions live aborts in ONNX Runtime's own clean-up.
          await release(loaded);
          port.close();
        }
      });
      say({ kind: 'ready', provider, refused, warmMs });
      return;
    } catch (error) {
      refused.push(`${provider}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  say({ kind: 'refused', reasons: refused });
}

await main();
