import { Worker } from 'node:worker_threads';
import { SaccadeError } from '../../connectors/errors.ts';
import type { FromWorker, Reply, ToWorker } from './messages.ts';

/** A running worker thread. */
export interface WorkerThread {
  /** Questions that are not answered yet; 0: it is free. */
  readonly pending: number;
  /** Asked when the questions before are answered. Rejects with engine_unavailable when it ends before it has answered. */
  ask<K extends FromWorker['kind']>(message: ToWorker, expected: readonly K[]): Promise<Reply<K>>;
  /** Ends it, after the run under way. Resolves when the thread is gone. */
  close(): Promise<void>;
}

/** Resolves when its code is loaded. Throws engine_unavailable when it ends first. `ended`: by itself, later. */
export async function startWorkerThread(entry: URL, ended: (reason: string) => void): Promise<WorkerThread> {
  const worker = new Worker(entry);
  let reason = '';
  let exited = false;
  let closing = false;
  let pending = 0;
  let last: Promise<unknown> = Promise.resolve();
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

  async function exchange<K extends FromWorker['kind']>(message: ToWorker, expected: readonly K[]): Promise<Reply<K>> {
    if (exited || closing) throw new SaccadeError('engine_unavailable', `An inference worker has ended: ${reason || 'it was closed'}.`);
    const answered = next();
    worker.postMessage(message, []);
    const reply = await answered;
    if (!expected.includes(reply.kind as K)) throw new SaccadeError('internal', `A worker answered ${message.kind} with ${reply.kind}.`);
    return reply as Reply<K>;
  }

  await next();
  void gone.then(() => closing || ended(reason));
  return {
    get pending() {
      return pending;
    },
    async ask(message, expected) {
      pending += 1;
      const reply = last.then(() => exchange(message, expected));
      last = reply.catch(() => {});
      try {
        return await reply;
      } finally {
        pending -= 1;
      }
    },
    async close() {
      closing = true;
      await last;
      const farewell: ToWorker = { kind: 'close' };
      if (!exited) worker.postMessage(farewell, []);
      await gone;
    },
  };
}
