/** The worker threads of an engine: each has every graph loaded and warm before it gets work, and is replaced when it dies. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import { openGraph, tryGraph, type GraphOptions, type LoadedGraph } from './graphs.ts';
import { startWorkerThread, type WorkerThread } from './worker-thread.ts';

export interface PoolOptions extends GraphOptions {
  readonly workers: number;
  readonly clock: Clock;
  readonly log: (message: string) => void;
  readonly entry: URL;
  /** Somebody has become free. */
  readonly free: () => void;
  /** A graph that ran will not be loaded any more by a worker that takes a dead one's place; it is tried again and again. */
  readonly lost: (key: string, reason: string) => void;
}

export interface Pool {
  readonly graphs: ReadonlyMap<string, LoadedGraph>;
  /** How many workers there are to be: of a device one, which is fed whole batches. */
  readonly size: number;
  /** A worker that has everything loaded and nothing to do. */
  idle(): WorkerThread | null;
  /** Loads a graph into every worker while they go on with the others'. Throws invalid_model; nothing of it is left then. */
  load(model: Model): Promise<void>;
  unload(key: string): Promise<void>;
  /** A run was answered: what died before is forgiven. */
  answered(): void;
  /** Why nothing can be run at present, or null. */
  trouble(): string | null;
  close(): Promise<void>;
}

const firstRestartMs = 100;
const longestRestartMs = 30_000;

export function workerPool(options: PoolOptions): Pool {
  const { clock, log, entry, free, lost, intraOpThreads } = options;
  const graphs = new Map<string, LoadedGraph>();
  /** Those with all graphs; one that still loads is in nobody's way. */
  const alive = new Set<WorkerThread>();
  const restarts = new Set<Promise<void>>();
  const stopping = new AbortController();
  let size = 1;
  let lastWords = 'none has been started';
  let deaths = 0;
  let changes: Promise<unknown> = Promise.resolve();

  /** `blame` is told which graph it was that would not be loaded. */
  async function hire(blame: (key: string) => void = () => {}): Promise<WorkerThread> {
    let opening: string | null = null;
    const worker = await startWorkerThread(entry, (reason) => {
      // One that dies while it loads is its hirer's.
      if (alive.delete(worker)) track(replace(reason));
    });
    const has = new Set<string>();
    try {
      // Graphs come and go while it loads.
      for (let next = missing(has); next; next = missing(has)) {
        has.add(next.graph.key);
        opening = next.graph.key;
        await openGraph(worker, next, intraOpThreads);
        opening = null;
      }
      if (stopping.signal.aborted) throw new SaccadeError('engine_unavailable', 'It is stopping.');
    } catch (error) {
      if (opening !== null && graphs.has(opening)) blame(opening);
      await worker.close();
      throw error;
    }
    alive.add(worker);
    return worker;
  }

  const missing = (has: ReadonlySet<string>): LoadedGraph | undefined => [...graphs.values()].find(({ graph }) => !has.has(graph.key));

  /** Backs off more with every death that no answer came between, so that a machine out of memory is not made worse. */
  async function replace(reason: string): Promise<void> {
    for (lastWords = reason; !stopping.signal.aborted; ) {
      const delay = Math.min(longestRestartMs, firstRestartMs * 2 ** deaths++);
      log(`inference worker ended (${lastWords}); the next one starts in ${delay} ms`);
      await clock.sleep(delay, stopping.signal);
      if (stopping.signal.aborted || alive.size >= size) return;
      let culprit: string | null = null;
      try {
        await hire((key) => (culprit = key));
        return free();
      } catch (error) {
        lastWords = asSaccadeError(error).detail;
        if (culprit !== null && !stopping.signal.aborted) lost(culprit, lastWords);
      }
    }
  }

  function track(task: Promise<void>): void {
    restarts.add(task);
    void task.finally(() => restarts.delete(task));
  }

  /** One change at a time: the next one finds every worker with the same graphs. */
  function serially<T>(change: () => Promise<T>): Promise<T> {
    const done = changes.then(change);
    changes = done.catch(() => {});
    return done;
  }

  async function load(model: Model): Promise<void> {
    if (graphs.has(keyOf(model))) return;
    const scout = [...alive][0] ?? (await hire());
    const key = keyOf(model);
    try {
      const backbone = model.backbone && graphs.get(keyOf(model.backbone))?.policy;
      const loaded = await tryGraph(scout, model, options, log, backbone);
      graphs.set(key, loaded);
      // Also for the first graph: there may have been others, and their workers are here still.
      await teach([...alive].filter((worker) => worker !== scout), loaded);
      if (graphs.size === 1) await fill(loaded);
    } catch (error) {
      await drop(key);
      throw asSaccadeError(error, 'invalid_model');
    }
  }

  /** The first graph decides how many there are: a CPU gains from several, a device is fed by one. */
  async function fill(first: LoadedGraph): Promise<void> {
    size = first.provider === 'cpu' ? options.workers : 1;
    const others = await Promise.allSettled(Array.from({ length: size - alive.size }, () => hire()));
    const failure = others.find((other) => other.status === 'rejected');
    if (failure) throw failure.reason;
  }

  /** Half of them at a time: the others answer meanwhile. */
  async function teach(others: readonly WorkerThread[], loaded: LoadedGraph): Promise<void> {
    const half = others.length >> 1;
    for (const some of [others.slice(0, half), others.slice(half)]) {
      await Promise.all(
        some.map((worker) =>
          openGraph(worker, loaded, intraOpThreads).catch((error: unknown) => {
            // One that has died meanwhile of something else has a successor that loads this graph too.
            if (alive.has(worker)) throw error;
          }),
        ),
      );
      free();
    }
  }

  async function drop(key: string): Promise<void> {
    graphs.delete(key);
    await Promise.all([...alive].map((worker) => worker.ask({ kind: 'unload', key }, ['unloaded']).catch(() => {})));
  }

  const idle = (): WorkerThread[] => [...alive].filter(({ pending }) => pending === 0);

  return {
    graphs,
    get size() {
      return size;
    },
    idle: () => idle()[0] ?? null,
    load: (model) => serially(() => load(model)).finally(free),
    unload: (key) => serially(() => drop(key)).finally(free),
    answered: () => void (deaths = 0),
    trouble: () => (alive.size > 0 ? null : `no inference worker is running: ${lastWords}`),
    async close() {
      stopping.abort();
      await changes;
      while (restarts.size > 0) await Promise.all(restarts);
      await Promise.all([...alive].map((worker) => worker.close()));
      alive.clear();
    },
  };
}
