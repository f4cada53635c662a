/** Clients of the edges, as behind a load balancer: a request goes to the next edge when one refuses it. */
import type { Clock } from '../../connectors/ports.ts';

export interface Request {
  readonly phase: string;
  /** Milliseconds from the first attempt to the answer; null when none came. */
  ms: number | null;
  /** Attempts that were refused before. */
  refused: number;
}

export interface RequestLoad {
  readonly requests: readonly Request[];
  finish(): Promise<void>;
}

export interface RequestLoadOptions {
  readonly clock: Clock;
  readonly picture: Buffer;
  readonly model: string;
  /** Requests a second. */
  readonly rate: number;
  readonly limitMs: number;
  phase(): string;
  /** The edges that are there now. */
  edges(): readonly string[];
}

export function startRequests(options: RequestLoadOptions): RequestLoad {
  const { clock } = options;
  const requests: Request[] = [];
  const stopping = new AbortController();

  async function ask(n: number): Promise<void> {
    const request: Request = { phase: options.phase(), ms: null, refused: 0 };
    requests.push(request);
    const startedAt = clock.now();
    for (let attempt = n; clock.now() - startedAt < options.limitMs; attempt += 1) {
      const edges = options.edges();
      if (await answered(edges[attempt % Math.max(1, edges.length)], n)) {
        request.ms = clock.now() - startedAt;
        return;
      }
      request.refused += 1;
      await clock.sleep(20);
    }
  }

  async function answered(edge: string | undefined, n: number): Promise<boolean> {
    if (edge === undefined) return false;
    try {
      const headers = { 'content-type': 'image/jpeg', 'idempotency-key': `bench-${n}` };
      const response = await fetch(`${edge}/v1/infer?model=${options.model}`, { method: 'POST', headers, body: new Uint8Array(options.picture) });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  }

  const asking = (async () => {
    const startedAt = clock.now();
    const underWay = new Set<Promise<void>>();
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      const one = ask(n).finally(() => underWay.delete(one));
      underWay.add(one);
      await clock.sleep(Math.max(0, startedAt + ((n + 1) * 1000) / options.rate - clock.now()), stopping.signal);
    }
    await Promise.all(underWay);
  })();

  return {
    requests,
    async finish() {
      stopping.abort();
      await asking;
    },
  };
}
