/** The inference engine: models in worker threads, fed from one bounded queue that all infer stages of the process share. */
import { SaccadeError, asSaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { Model } from '../../schemas/model-card.ts';
import type { InferConfig } from './config.ts';
import type { RowAnswer, WorkerSetup } from './messages.ts';
import { rowQueue, type Waiting } from './row-queue.ts';
import { startWorkerThread, type WorkerThread } from './worker-thread.ts';

export interface EngineOptions extends InferConfig {
  readonly models: readonly Model[];
  readonly clock: Clock;
  readonly log?: (message: string) => void;
  /** The worker's code; another one only for tests of a worker that dies. */
  readonly entry?: URL;
}

/** One row's outcome. `ms`: the run it was part of, alone. `crashed`: a worker died while it ran this row, by its fault or a neighbour's. */
export type RowResult =
  | { readonly ok: true; readonly outputs: Readonly<Record<string, Float32Array<ArrayBuffer>>>; readonly ms: number }
  | { readonly ok: false; readonly error: SaccadeError; readonly crashed: boolean };

export interface RunOptions {
  /** Rows that wait are given back (engine_unavailable) when it aborts. */
  readonly signal?: AbortSignal;
  /** Each row in a run of its own. */
  readonly alone?: boolean;
}

export interface Engine {
  /** The execution provider chosen: the first of those asked for that runs all models. */
  readonly provider: string;
  /** Runs that go side by side. */
  readonly workers: number;
  /** Rows joined in one run: 1 on a CPU, which gains nothing from batches. */
  readonly rowsPerRun: number;
  /** Milliseconds of one row when warm, by model. */
  readonly warmMs: Readonly<Record<string, number>>;
  /** One result for each row, in order; rows are uint8 RGB of the model's input size. Never rejects. */
  run(model: string, rows: readonly Uint8Array[], options?: RunOptions): Promise<RowResult[]>;
  /** Why nothing can be run at present, or null. */
  trouble(): string | null;
  /** Ends the runs under way, gives back what waits, releases the models and waits for the threads: then the process may exit. */
  close(): Promise<void>;
}

interface Row extends Waiting {
  readonly done: (result: RowResult) => void;
}

const deviceBatch = 32;
const firstRestartMs = 100;
const longestRestartMs = 30_000;

/** Resolves when every worker has its models loaded and warm. Throws invalid_model when no provider runs them. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { models, clock, maxBatch, queueBytes, log = () => {}, entry = new URL('./worker-entry.mjs', import.meta.url) } = options;
  const queue = rowQueue<Row>();
  const idle: WorkerThread[] = [];
  const alive = new Set<WorkerThread>();
  const under = new Set<Promise<void>>();
  const stopping = new AbortController();
  let lastWords = '';
  let deaths = 0;

  const setup = (providers: readonly string[]): WorkerSetup => ({
    models: models.map(({ card, path }) => ({
      name: card.name,
      path,
      input: card.input,
      outputs: Object.fromEntries(Object.entries(card.outputs).map(([name, { shape }]) => [name, shape])),
    })),
    providers,
    intraOpThreads: options.intraOpThreads,
  });

  async function hire(providers: readonly string[]): Promise<WorkerThread> {
    const worker = await startWorkerThread(entry, setup(providers), (reason) => {
      alive.delete(worker);
      const at = idle.indexOf(worker);
      if (at >= 0) idle.splice(at, 1);
      track(replace(reason));
    });
    alive.add(worker);
    return worker;
  }

  /** Backs off more with every death that no answer came between, so that a machine out of memory is not made worse. */
  async function replace(reason: string): Promise<void> {
    for (lastWords = reason; !stopping.signal.aborted; ) {
      const delay = Math.min(longestRestartMs, firstRestartMs * 2 ** deaths++);
      log(`inference worker ended (${lastWords}); the next one starts in ${delay} ms`);
      await clock.sleep(delay, stopping.signal);
      if (stopping.signal.aborted) return;
      try {
        idle.push(await hire([provider]));
        return feed();
      } catch (error) {
        lastWords = asSaccadeError(error).message;
      }
    }
  }

  /** Gives work to whoever is idle. */
  function feed(): void {
    while (idle.length > 0) {
      const rows = queue.take(rowsPerRun);
      if (rows.length === 0) return;
      track(work(idle.shift()!, rows));
    }
  }

  async function work(worker: WorkerThread, rows: readonly Row[]): Promise<void> {
    const { model, pixels } = rows[0]!;
    // The one copy on the way to the model: the rows are slices of records, which cannot be moved to another thread.
    const packed = new Uint8Array(rows.length * pixels.length);
    rows.forEach((row, i) => packed.set(row.pixels, i * pixels.length));
    try {
      const { ms, rows: answers } = await worker.run(model, rows.length, packed);
      deaths = 0;
      if (alive.has(worker)) idle.push(worker);
      rows.forEach((row, i) => row.done(resultOf(answers[i]!, ms)));
    } catch (error) {
      for (const row of rows) row.done({ ok: false, error: asSaccadeError(error, 'engine_unavailable'), crashed: true });
    }
    feed();
  }

  function track(task: Promise<void>): void {
    under.add(task);
    void task.finally(() => under.delete(task));
  }

  const giveBack = (rows: readonly Row[], detail: string): void => {
    for (const row of rows) row.done({ ok: false, error: new SaccadeError('engine_unavailable', detail), crashed: false });
  };

  function refuse(model: string, rows: readonly Uint8Array[], signal: AbortSignal | undefined): SaccadeError | null {
    const input = models.find(({ card }) => card.name === model)?.card.input;
    if (!input) return new SaccadeError('unknown_model', model);
    if (rows.some((row) => row.length !== input.height * input.width * 3)) {
      return new SaccadeError('inference_failed', `${model} takes rows of ${input.height} x ${input.width} x 3 bytes.`);
    }
    if (stopping.signal.aborted || signal?.aborted) return new SaccadeError('engine_unavailable', 'It is stopping.');
    const bytes = rows.reduce((sum, row) => sum + row.length, 0);
    // An empty queue takes any call: one larger than the limit would else be refused for ever.
    return queue.bytes > 0 && queue.bytes + bytes > queueBytes ? new SaccadeError('overloaded', 'The inference queue is full.') : null;
  }

  const first = await hire(options.providers);
  const { provider, refused, warmMs } = first.ready;
  const onCpu = provider === 'cpu';
  // A CPU gains nothing from batches (measured), so each row takes the next free worker; a device is fed whole batches by one.
  const workers = onCpu ? options.workers : 1;
  const rowsPerRun = maxBatch ?? (onCpu ? 1 : deviceBatch);
  for (const reason of refused) log(`execution provider refused: ${reason}`);
  const others = await Promise.allSettled(Array.from({ length: workers - 1 }, () => hire([provider])));
  const failure = others.find((other) => other.status === 'rejected');
  if (failure) {
    await Promise.all([...alive].map((worker) => worker.close()));
    throw failure.reason;
  }
  idle.push(...alive);
  log(`inference on ${provider}: ${workers} worker(s), ${Object.entries(warmMs).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`).join(', ')}`);

  return {
    provider,
    workers,
    rowsPerRun,
    warmMs,
    async run(model, rows, { signal, alone = false } = {}) {
      const refusal = refuse(model, rows, signal);
      if (refusal) return rows.map(() => ({ ok: false, error: refusal, crashed: false }));

      const mine = new Set<Row>();
      const abandon = (): void => giveBack(queue.remove((row) => mine.has(row)), 'The stage is stopping.');
      signal?.addEventListener('abort', abandon, { once: true });
      const results = Promise.all(
        rows.map((pixels) => new Promise<RowResult>((done) => {
          const row: Row = { model, pixels, alone, done };
          mine.add(row);
          queue.push(row);
        })),
      );
      feed();
      return results.finally(() => signal?.removeEventListener('abort', abandon));
    },
    trouble: () => (alive.size > 0 ? null : `no inference worker is running: ${lastWords}`),
    async close() {
      stopping.abort();
      giveBack(queue.remove(() => true), 'It is stopping.');
      while (under.size > 0) await Promise.all(under);
      await Promise.all([...alive].map((worker) => worker.close()));
      alive.clear();
    },
  };
}

const resultOf = (answer: RowAnswer, ms: number): RowResult =>
  'outputs' in answer
    ? { ok: true, outputs: answer.outputs, ms }
    : { ok: false, error: new SaccadeError('inference_failed', answer.failure), crashed: false };
