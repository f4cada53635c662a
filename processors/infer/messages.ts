/**
 * What the engine and its worker threads say to each other. Pixels lie in memory that both see, since what is moved to and fro
 * counts as new memory each time and has V8 look for garbage; answers, which are small and stay, are moved.
 */

/** A graph as a worker opens it. */
export interface Graph {
  readonly key: string;
  readonly path: string;
  /** A picture's uint8 [N, height, width, 3], or of a head float32 [N, size], the backbone's output `embedding`. */
  readonly input:
    | { readonly kind: 'picture'; readonly name: string; readonly height: number; readonly width: number }
    | { readonly kind: 'embedding'; readonly name: string; readonly size: number; readonly embedding: string };
  /** The card's shapes, such as [N,200,6], by output. */
  readonly outputs: Readonly<Record<string, string>>;
}

/** What a graph was spared (`done`), or why it runs as its file has it; with neither there was nothing to do, or nobody asked. */
export interface Folding {
  readonly done: readonly string[];
  readonly instead: string | null;
}

/** One at a time: the next is sent when this one is answered. */
export type ToWorker =
  /** Open it on the first of the providers that runs it. `fold`: as the file has it; folded, if its answers are the file's; or folded, as was tried before. */
  | { readonly kind: 'load'; readonly graph: Graph; readonly providers: readonly string[]; readonly intraOpThreads: number; readonly fold: 'no' | 'try' | 'yes' }
  /** Run so many rows of grey: once, so that the size is warm, and `repeats` times more against the clock. */
  | { readonly kind: 'measure'; readonly key: string; readonly rows: number; readonly repeats: number }
  /** `pixels`: the rows' pictures one after the other, the worker's until it answers. `heads`: by row, the head that reads its embedding, or null. */
  | { readonly kind: 'run'; readonly key: string; readonly heads: readonly (string | null)[]; readonly pixels: Uint8Array<SharedArrayBuffer> }
  | { readonly kind: 'unload'; readonly key: string }
  /** Release the sessions and end. */
  | { readonly kind: 'close' };

/** One row's answer: each output flattened, or why there is none. */
export type RowAnswer = { readonly outputs: Readonly<Record<string, Float32Array<ArrayBuffer>>> } | { readonly failure: string };

export type FromWorker =
  /** Its code is loaded; it has no graph yet. */
  | { readonly kind: 'up' }
  /** `refused`: the providers that came before, and why they would not work. `dynamic`: it takes any number of rows, else one. */
  | { readonly kind: 'loaded'; readonly provider: string; readonly refused: readonly string[]; readonly dynamic: boolean; readonly folding: Folding }
  /** No provider runs the graph, or it is not what its card says. */
  | { readonly kind: 'refused'; readonly reasons: readonly string[] }
  /** Milliseconds of the quickest of the repeats. */
  | { readonly kind: 'measured'; readonly ms: number }
  /** `ms`: the run alone. */
  | { readonly kind: 'answers'; readonly ms: number; readonly rows: readonly RowAnswer[] }
  | { readonly kind: 'unloaded' };

export type Reply<K extends FromWorker['kind']> = Extract<FromWorker, { kind: K }>;
