/** What the engine and its worker threads say to each other. Typed arrays travel by transfer: moved, not copied. */

/** What a worker is started with. */
export interface WorkerSetup {
  readonly models: readonly {
    readonly name: string;
    readonly path: string;
    readonly input: { readonly name: string; readonly height: number; readonly width: number };
    /** The card's shapes, such as [N,200,6], by output. */
    readonly outputs: Readonly<Record<string, string>>;
  }[];
  readonly providers: readonly string[];
  readonly intraOpThreads: number;
}

export type ToWorker =
  /** `pixels`: `rows` pictures one after the other. One run at a time. */
  | { readonly kind: 'run'; readonly model: string; readonly rows: number; readonly pixels: Uint8Array<ArrayBuffer> }
  /** Release the sessions and end. */
  | { readonly kind: 'close' };

/** One row's answer: each output flattened, or why there is none. */
export type RowAnswer = { readonly outputs: Readonly<Record<string, Float32Array<ArrayBuffer>>> } | { readonly failure: string };

export interface Ready {
  readonly kind: 'ready';
  readonly provider: string;
  /** The providers that came before it, and why they would not work. */
  readonly refused: readonly string[];
  /** Milliseconds of one row, measured after a first run, by model. */
  readonly warmMs: Readonly<Record<string, number>>;
}

export type FromWorker =
  | Ready
  /** No provider would run the models. The worker ends. */
  | { readonly kind: 'refused'; readonly reasons: readonly string[] }
  /** `ms`: the run alone. */
  | { readonly kind: 'answers'; readonly ms: number; readonly rows: readonly RowAnswer[] };
