/** A client of the HTTP API: its types are those of the schemas that validate, and it needs nothing but fetch. */
import type { Accepted, Answer } from './answer.ts';
import type { Batch } from './batch.ts';
import type { History, Seen } from './history.ts';
import type { Models } from './models.ts';
import type { Problem } from './problem.ts';
import type { Result } from './result.ts';
import type { Stats } from './stats.ts';

export interface Asking {
  /** A model that is served; without it the first one. */
  readonly model?: string;
  /** Under one key a repeat is the same frame. */
  readonly idempotencyKey?: string;
}

/** Times are ISO 8601 or milliseconds since the epoch. */
export interface Period {
  readonly source?: string;
  readonly model?: string;
  readonly since?: string | number;
  readonly until?: string | number;
}

export interface HistoryFilter extends Period {
  readonly label?: string;
  readonly status?: Seen['status'];
  readonly min_score?: number;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface SaccadeClient {
  infer(image: Blob, asking?: Asking): Promise<Answer>;
  /** Up to 128; an item for each, in their order. */
  inferBatch(images: readonly Blob[], asking?: Asking): Promise<Batch>;
  /** Resolves as soon as the image is in the log; `result` of it is for outcome(). */
  send(image: Blob, asking?: Asking): Promise<Accepted>;
  /** What became of it; asks until it is done. */
  outcome(accepted: Pick<Accepted, 'result'>, signal?: AbortSignal): Promise<Result>;
  predictions(filter?: HistoryFilter): Promise<History>;
  /** All of them, page by page. */
  everyPrediction(filter?: Omit<HistoryFilter, 'cursor'>): AsyncGenerator<Seen>;
  stats(period?: Period): Promise<Stats>;
  models(): Promise<Models>;
}

/** What the client's promises reject with where something else than success was answered; where nothing was, fetch's own error is. */
export type Refusal = Error & { readonly problem: Problem };

/** What a proxy in front answers instead, such as a page that says 502. */
const notOurs = ({ status, statusText }: Response): Problem => ({ type: 'about:blank', title: `${status} ${statusText}`.trim(), status, code: 'not_of_saccade' });

/** `url` such as http://127.0.0.1:8080; `headers` go with every request. */
export function saccade(url: string, { headers = {} }: { readonly headers?: Readonly<Record<string, string>> } = {}): SaccadeClient {
  async function ask<T>(path: string, init: RequestInit = {}): Promise<T> {
    const response = await fetch(new URL(path, url), { ...init, headers: { ...headers, ...(init.headers as Record<string, string>) } });
    if (response.ok) return (await response.json()) as T;
    const ours = response.headers.get('content-type')?.startsWith('application/problem+json');
    // A body that nobody reads keeps its connection.
    if (!ours) await response.body?.cancel().catch(() => {});
    const problem = ours ? ((await response.json()) as Problem) : notOurs(response);
    throw Object.assign(new Error(problem.detail ?? problem.title), { problem });
  }
  const query = (values: object): string => new URLSearchParams(Object.entries(values).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, `${value}`]]))).toString();
  const post = <T>(path: string, field: string, images: readonly Blob[], { model, idempotencyKey }: Asking = {}, wait?: 0): Promise<T> => {
    const body = new FormData();
    for (const image of images) body.append(field, image);
    return ask<T>(`${path}?${query({ model, wait })}`, { method: 'POST', body, headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey } });
  };
  const predictions = (filter: HistoryFilter = {}): Promise<History> => ask(`/v1/predictions?${query(filter)}`);

  return {
    infer: (image, asking) => post('/v1/infer', 'image', [image], asking),
    inferBatch: (images, asking) => post('/v1/batch_infer', 'images', images, asking),
    send: (image, asking) => post('/v1/infer', 'image', [image], asking, 0),
    async outcome({ result }, signal) {
      for (;;) {
        const found = await ask<Result>(result, signal ? { signal } : {});
        if (found.status === 'done') return found;
        await new Promise((resolve) => setTimeout(resolve, 250));
        signal?.throwIfAborted();
      }
    },
    predictions,
    async *everyPrediction(filter = {}) {
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page: History = await predictions({ ...filter, ...(cursor === undefined ? {} : { cursor }) });
        yield* page.items;
        cursor = page.next;
      }
    },
    stats: (period = {}) => ask(`/v1/stats?${query(period)}`),
    models: () => ask('/v1/models'),
  };
}
