/** The graphs of an engine: how each is opened in a worker, and the first time also tried, measured and given its sizes. */
import { SaccadeError } from '../../connectors/errors.ts';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import type { InferConfig } from './config.ts';
import type { Folding, Graph } from './messages.ts';
import { choosePolicy, settled, sizesToMeasure, type Measured, type RunPolicy } from './tuning.ts';
import type { WorkerThread } from './worker-thread.ts';

export interface LoadedGraph {
  readonly graph: Graph;
  /** The execution provider that runs it: the first of those asked for that would. */
  readonly provider: string;
  readonly policy: RunPolicy;
  readonly folding: Folding;
}

export interface GraphOptions extends Pick<InferConfig, 'providers' | 'intraOpThreads' | 'maxBatch' | 'delayMs' | 'fold'> {
  /** Measures every size, also those that cannot be the choice any more. */
  readonly thorough?: boolean;
}

const repeats = 3;
/** How long the search for a size may take: a slow model must not keep the process from its work. */
const searchMs = 1_500;

/** Of [N,1280]: 1280. */
const sizeOf = (shape: string): number => Number(/(\d+)\]$/.exec(shape)?.[1]);

export function graphOf(model: Model): Graph {
  const { card, path, backbone } = model;
  const outputs = Object.fromEntries(Object.entries(card.outputs).map(([name, { shape }]) => [name, shape]));
  if (!card.head || !backbone) return { key: keyOf(model), path, input: { kind: 'picture', ...card.input }, outputs };
  const { input: name, embedding } = card.head;
  return { key: keyOf(model), path, input: { kind: 'embedding', name, size: sizeOf(backbone.card.outputs[embedding]!.shape), embedding }, outputs };
}

/** The first to open it in this process; a head with the policy of its backbone. Throws invalid_model, also when the worker dies of it, naming why. */
export async function tryGraph(worker: WorkerThread, model: Model, options: GraphOptions, log: (message: string) => void, backbone?: RunPolicy): Promise<LoadedGraph> {
  const graph = graphOf(model);
  try {
    const loaded = await worker.ask({ kind: 'load', graph, providers: options.providers, intraOpThreads: options.intraOpThreads, fold: options.fold ? 'try' : 'no' }, ['loaded', 'refused']);
    if (loaded.kind === 'refused') throw new SaccadeError('invalid_model', `No execution provider runs ${graph.key}: ${loaded.reasons.join('; ')}`);
    for (const reason of loaded.refused) log(`execution provider refused ${graph.key}: ${reason}`);
    const { done, instead } = loaded.folding;
    if (done.length > 0) log(`${graph.key} was folded: ${done.join('; ')}`);
    if (instead !== null) log(`${graph.key} runs as its file has it: ${instead}`);
    const measured = await measure(worker, graph, loaded.dynamic && graph.input.kind === 'picture' ? wanted(options) : [1], options.thorough ?? false);
    const set = { maxBatch: loaded.dynamic ? options.maxBatch : 1, delayMs: options.delayMs, onCpu: loaded.provider === 'cpu' };
    const chosen = choosePolicy(await confirmed(worker, graph, measured, choosePolicy(measured, set).rows), set);
    const policy = backbone && loaded.dynamic ? { ...chosen, buckets: everySize(backbone.rows) } : chosen;
    // Sizes that were asked for, and not measured.
    for (const rows of policy.buckets.filter((size) => !measured.some((one) => one.rows === size))) await warm(worker, graph.key, rows);
    return { graph, provider: loaded.provider, policy, folding: loaded.folding };
  } catch (error) {
    if (!(error instanceof SaccadeError) || error.code !== 'engine_unavailable') throw error;
    throw new SaccadeError('invalid_model', `${graph.key} ended its worker while it was being loaded. ${error.detail}`, error);
  }
}

/** In every worker after the first: nothing is decided any more, but every size is warm. */
export async function openGraph(worker: WorkerThread, { graph, provider, policy, folding }: LoadedGraph, intraOpThreads: number): Promise<void> {
  const loaded = await worker.ask({ kind: 'load', graph, providers: [provider], intraOpThreads, fold: folding.done.length > 0 ? 'yes' : 'no' }, ['loaded', 'refused']);
  if (loaded.kind === 'refused') throw new SaccadeError('invalid_model', `${graph.key} ran once, and does no more: ${loaded.reasons.join('; ')}`);
  for (const rows of policy.buckets) await warm(worker, graph.key, rows);
}

/** Of a run of its backbone a head may be asked for any number of rows. */
const everySize = (most: number): number[] => Array.from({ length: most }, (_, i) => i + 1);

/** What is set needs no search. */
const wanted = ({ maxBatch }: GraphOptions): readonly number[] => sizesToMeasure.filter((size) => size <= (maxBatch ?? Infinity));

async function measure(worker: WorkerThread, graph: Graph, sizes: readonly number[], thorough: boolean): Promise<Measured[]> {
  const measured: Measured[] = [];
  const until = performance.now() + searchMs;
  for (const rows of sizes) {
    if (!thorough && (settled(measured) || performance.now() > until)) break;
    const found = await worker.ask({ kind: 'measure', key: graph.key, rows, repeats }, ['measured', 'refused']);
    if (found.kind === 'measured') measured.push({ rows, ms: found.ms / rows });
    else if (rows === 1) throw new SaccadeError('invalid_model', `${graph.key}: ${found.reasons.join('; ')}`);
    else break;
  }
  return measured;
}

/** A second look at the choice and at a row alone: a busy moment of the machine must not decide for as long as the process lives. */
async function confirmed(worker: WorkerThread, graph: Graph, measured: readonly Measured[], chosen: number): Promise<Measured[]> {
  if (chosen === 1) return [...measured];
  return Promise.all(
    measured.map(async ({ rows, ms }) => {
      if (rows !== 1 && rows !== chosen) return { rows, ms };
      const again = await worker.ask({ kind: 'measure', key: graph.key, rows, repeats }, ['measured', 'refused']);
      return { rows, ms: again.kind === 'measured' ? Math.min(ms, again.ms / rows) : ms };
    }),
  );
}

async function warm(worker: WorkerThread, key: string, rows: number): Promise<void> {
  const done = await worker.ask({ kind: 'measure', key, rows, repeats: 0 }, ['measured', 'refused']);
  if (done.kind === 'refused') throw new SaccadeError('invalid_model', `${key} does not take ${rows} rows at once: ${done.reasons.join('; ')}`);
}
