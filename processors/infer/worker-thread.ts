import { Worker } from 'node:worker_threads';
import { SaccadeError } from '../../connectors/errors.ts';
import type { FromWorker, Ready, RowAnswer, ToWorker, WorkerSetup } from './messages.ts';

/** A running worker thread: its models are loaded and warm. It runs one job at a time. */
export interface WorkerThread {
  readonly ready: Ready;
  /** `pixels` is moved to the worker: unusable here afterwards. Rejects when the worker ends before it has answered. */
  run(model: string, rows: number, pixels: Uint8Array<ArrayBuffer>): Promise<{ ms: number; rows: readonly RowAnswer[] }>;
  /** Ends it, after the run under way. Resolves when the thread is gone. */
  close(): Promise<void>;
}

/** Resolves when the worker is warm. Throws invalid_model when no provider runs the models, engine_unavailable when it dies first. */
export async function startWorkerThread(entry: URL, setup: WorkerSetup, ended: (reason: string) => void): Promise<WorkerThread> {
  const worker = new Worker(entry, { workerData: setup });
  let reason = '';
  let exited = false;
  let answer: { resolve(message: FromWorker): void; reject(error: Error): void } | null = null;

  const gone = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      exited = true;
      reason ||= `exit code ${code}`;
      answer?.reject(new SaccadeError('engine_unavailable', `An inference worker ended: ${reason}.`));
      resolve();
    });
  });
  worker.on('error', (error) => (reason = error.message));
  worker.on('message', (message: FromWorker) => {
    answer?.resolve(message);
    answer = null;
  });
  const next = (): Promise<FromWorker> => new Promise((resolve, reject) => (answer = { resolve, reject }));

  const first = await next();
  if (first.kind === 'refused') {
    await gone;
    throw new SaccadeError('invalid_model', `No execution provider runs the models: ${first.reasons.join('; ')}`);
  }
  if (first.kind !== 'ready') throw new SaccadeError('internal', `A worker began with ${first.kind}.`);

  let closing = false;
  void gone.then(() => closing || ended(reason));
  const say = (message: ToWorker, moved: ArrayBuffer[] = []): void => worker.postMessage(message, moved);
  return {
    ready: first,
    async run(model, rows, pixels) {
      if (exited) throw new SaccadeError('engine_unavailable', `An inference worker has ended: ${reason}.`);
      const answered = next();
      say({ kind: 'run', model, rows, pixels }, [pixels.buffer]);
      const message = await answered;
      if (message.kind !== 'answers') throw new SaccadeError('internal', `A worker answered a run with ${message.kind}.`);
      return message;
    },
    async close() {
      closing = true;
      if (!exited) say({ kind: 'close' });
      await gone;
    },
  };
}
