/** The inference engine: models in worker threads, fed from one bounded queue that all infer stages of the process share. */
import { SaccadeError, asSaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import type { InferConfig } from './config.ts';
import type { LoadedGraph } from './graphs.ts';
import type { RowAnswer } from './messages.ts';
import { workerPool } from './pool.ts';
import { rowQueue, type Waiting } from './row-queue.ts';
import type { WorkerThread } from './worker-thread.ts';

export interface EngineOptions extends InferConfig {
  readonly clock: Clock;
  readonly log?: (message: string) => void;
  /** Told when a graph that ran ends its workers, or is refused by them, while it is loaded anew. */
  readonly lost?: (key: string, reason: string) => void;
  /** As GraphOptions: for somebody who wants to see the figures. */
  readonly thorough?: boolean;
  /** The worker's code; another one only for tests of a worker that dies. */
  readonly entry?: URL;
}

export interface RowInput {
  /** uint8 RGB of the model's input size. */
  readonly pixels: Uint8Array;
  readonly source: string;
  /** Somebody waits for the answer. */
  readonly urgent: boolean;
  /** Milliseconds since the epoch, or null. */
  readonly deadline: number | null;
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
  /** Runs that go side by side. */
  readonly workers: number;
  /** What a model that is loaded runs on, in which sizes, and whether as its file has it. Throws unknown_model. */
  about(model: Model): Pick<LoadedGraph, 'provider' | 'policy' | 'folding'>;
  /**
   * Opens the model in every worker beside those that run, and warms every size it will be run in; a head with its backbone.
   * Throws invalid_model. What is loaded twice is unloaded twice.
   */
  load(model: Model): Promise<void>;
  /** Releases it once what waits for it and runs is answered. */
  unload(model: Model): Promise<void>;
  /** One result for each row, in order. A row past its deadline is not run (deadline_exceeded). Never rejects. */
  run(model: Model, rows: readonly RowInput[], options?: RunOptions): Promise<RowResult[]>;
  /** Rows that may be handed over at once without being refused, where `rowBytes` is one of them. */
  room(rowBytes: number): number;
  /** Why nothing can be run at present, or null. */
  trouble(): string | null;
  /** Ends the runs under way, gives back what waits, releases the models and waits for the threads: then the process may exit. */
  close(): Promise<void>;
}

interface Row extends Waiting {
  readonly head: string | null;
  readonly deadline: number | null;
  readonly done: (result: RowResult) => void;
}

/** It has no model yet, and no worker. */
export function createEngine(options: EngineOptions): Engine {
  const { clock, queueBytes, log = () => {}, lost = () => {}, entry = new URL('./worker-entry.mjs', import.meta.url) } = options;
  const queue = rowQueue<Row>();
  const under = new Set<Promise<void>>();
  /** How many rows of a graph wait or run, and how many have asked for it to be loaded. */
  const inUse = new Map<string, number>();
  const owners = new Map<string, number>();
  /** What each worker reads its runs from: as large as its largest run so far. */
  const desks = new WeakMap<WorkerThread, SharedArrayBuffer>();
  let stopping = false;
  const settled = new Set<() => void>();
  const pool = workerPool({ ...options, log, lost, entry, free: () => feed() });

  const giveBack = (rows: readonly Row[], error: SaccadeError): void => {
    for (const row of rows) row.done({ ok: false, error, crashed: false });
  };

  /** Gives work to whoever is idle. */
  function feed(): void {
    const now = clock.now();
    // Before a size is chosen: late rows taken out of a run would leave it one that is not warm.
    const late = queue.remove(({ deadline }) => deadline !== null && deadline < now);
    if (late.length > 0) giveBack(late, new SaccadeError('deadline_exceeded'));
    for (let worker = pool.idle(); worker; worker = pool.idle()) {
      const next = queue.waiting();
      if (!next) return;
      track(work(worker, queue.take(share(next))));
    }
  }

  /**
   * Rows of a run: a size that is warm, and no more than its share, since a neighbour that is busy will be free before this run ends.
   * Where somebody waits and company saves nothing, half of it: answers leave while the rest is run, and who has them asks for more.
   */
  function share({ model, rows, urgent }: { model: string; rows: number; urgent: boolean }): number {
    const policy = pool.graphs.get(model)?.policy;
    const parts = urgent && policy?.delayMs === 0 ? 2 * pool.size : pool.size;
    const most = Math.ceil(rows / parts);
    return policy?.buckets.findLast((size) => size <= most) ?? 1;
  }

  async function work(worker: WorkerThread, rows: readonly Row[]): Promise<void> {
    const { model } = rows[0]!;
    const pixels = pack(worker, rows);
    try {
      const heads = rows.map(({ head }) => head);
      const answer = await worker.ask({ kind: 'run', key: model, heads, pixels }, ['answers']);
      pool.answered();
      rows.forEach((row, i) => row.done(resultOf(answer.rows[i]!, answer.ms)));
    } catch (error) {
      for (const row of rows) row.done({ ok: false, error: asSaccadeError(error, 'engine_unavailable'), crashed: true });
    }
    feed();
  }

  /** The rows are slices of records, wherever those lie: copied onto the worker's desk, where it does one run at a time. */
  function pack(worker: WorkerThread, rows: readonly Row[]): Uint8Array<SharedArrayBuffer> {
    const bytes = rows.reduce((sum, { pixels }) => sum + pixels.length, 0);
    let desk = desks.get(worker);
    if (!desk || desk.byteLength < bytes) desks.set(worker, (desk = new SharedArrayBuffer(bytes)));
    const packed = new Uint8Array(desk, 0, bytes);
    let at = 0;
    for (const { pixels } of rows) {
      packed.set(pixels, at);
      at += pixels.length;
    }
    return packed;
  }

  function track(task: Promise<void>): void {
    under.add(task);
    void task.finally(() => under.delete(task));
  }

  function refuse(model: Model, rows: readonly RowInput[], signal: AbortSignal | undefined): SaccadeError | null {
    const { input, name } = model.card;
    if (!owners.has(keyOf(model))) return new SaccadeError('unknown_model', keyOf(model));
    if (rows.some(({ pixels }) => pixels.length !== input.height * input.width * 3)) {
      return new SaccadeError('inference_failed', `${name} takes rows of ${input.height} x ${input.width} x 3 bytes.`);
    }
    if (stopping || signal?.aborted) return new SaccadeError('engine_unavailable', 'It is stopping.');
    const bytes = rows.reduce((sum, { pixels }) => sum + pixels.length, 0);
    // An empty queue takes any call: one larger than the limit would else be refused for ever.
    return queue.bytes > 0 && queue.bytes + bytes > queueBytes ? new SaccadeError('overloaded', 'The inference queue is full.') : null;
  }

  function count(keys: readonly string[], change: 1 | -1): void {
    for (const key of keys) {
      const left = (inUse.get(key) ?? 0) + change;
      if (left > 0) inUse.set(key, left);
      else inUse.delete(key);
    }
    if (change > 0) return;
    for (const tell of settled) tell();
    settled.clear();
  }

  async function load(model: Model): Promise<void> {
    const key = keyOf(model);
    if (model.backbone) await load(model.backbone);
    try {
      await pool.load(model);
    } catch (error) {
      if (model.backbone) await unload(model.backbone);
      throw error;
    }
    owners.set(key, (owners.get(key) ?? 0) + 1);
  }

  async function unload(model: Model): Promise<void> {
    const key = keyOf(model);
    const left = (owners.get(key) ?? 0) - 1;
    if (left > 0) owners.set(key, left);
    else if (owners.delete(key)) {
      while (inUse.has(key)) await new Promise<void>((resolve) => settled.add(resolve));
      if (!owners.has(key)) await pool.unload(key);
    }
    if (model.backbone) await unload(model.backbone);
  }

  return {
    get workers() {
      return pool.size;
    },
    about(model) {
      const found = pool.graphs.get(keyOf(model));
      if (!found) throw new SaccadeError('unknown_model', keyOf(model));
      // A head runs when its backbone does.
      return { ...found, policy: (model.backbone ? pool.graphs.get(keyOf(model.backbone)) : found)?.policy ?? found.policy };
    },
    load,
    unload,
    async run(model, rows, { signal, alone = false } = {}) {
      const refusal = refuse(model, rows, signal);
      if (refusal) return rows.map(() => ({ ok: false, error: refusal, crashed: false }));

      const head = model.backbone ? keyOf(model) : null;
      const key = keyOf(model.backbone ?? model);
      const keys = head ? [key, head] : [key];
      const mine = new Set<Row>();
      const abandon = (): void => giveBack(queue.remove((row) => mine.has(row)), new SaccadeError('engine_unavailable', 'The stage is stopping.'));
      signal?.addEventListener('abort', abandon, { once: true });
      const results = Promise.all(
        rows.map((input) => new Promise<RowResult>((done) => {
          const row: Row = { ...input, model: key, head, alone, done };
          mine.add(row);
          queue.push(row);
        })),
      );
      count(keys, 1);
      feed();
      return results.finally(() => {
        signal?.removeEventListener('abort', abandon);
        // A listener that was taken off names the next one: of what has been in work nothing is to hang on such a chain.
        mine.clear();
        count(keys, -1);
      });
    },
    room: (rowBytes) => Math.max(1, Math.floor(queueBytes / Math.max(1, pool.graphs.size) / rowBytes)),
    trouble: () => (owners.size === 0 ? null : pool.trouble()),
    async close() {
      stopping = true;
      giveBack(queue.remove(() => true), new SaccadeError('engine_unavailable', 'It is stopping.'));
      while (under.size > 0) await Promise.all(under);
      await pool.close();
    },
  };
}

const resultOf = (answer: RowAnswer, ms: number): RowResult =>
  'outputs' in answer
    ? { ok: true, outputs: answer.outputs, ms }
    : { ok: false, error: new SaccadeError('inference_failed', answer.failure), crashed: false };
