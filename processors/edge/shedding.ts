/**
 * Refuses pictures before anything of their request costs more than its head: no route, no hook, no credential but one that was not
 * seen for a while, since whose it is decides whether there is room for it. An edge that has
 * too much to do is asked again and again, by clients that do not heed Retry-After too; they must not take the time of those who
 * were let in. Whoever comes again by the same connection before the time it was told is refused when that is over, unless a proxy
 * speaks for it: by its connections come all of its clients.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../connectors/ports.ts';
import { type KnownAskers, knownAskers } from './known-askers.ts';
import { tooMany } from './pace.ts';
import { problemBody, retryAfterSeconds } from './problem.ts';
import type { Asker } from './shares.ts';

export interface Overload {
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  /** Whether a picture of theirs for the model whose answer is waited for is refused now; null: whichever model is meant, which goes by the key, and whoever sends it. */
  turnsAway(model: string | null, who: Asker | null): boolean;
  refused(): void;
}

export interface Shedding extends Pick<KnownAskers, 'found' | 'meant'> {
  /** From now on it is asked; until then nothing is refused here. */
  by(overload: Overload): void;
  /** Answers the request or hands it on. */
  pass(request: IncomingMessage, response: ServerResponse, on: () => void): void;
}

const pictures = /^\/v1\/(?:batch_)?infer(?:\?|$)/;
/** That are made to wait: each keeps a socket, and what of its body has arrived. */
const mostHeld = 1_024;

/** The query of a request with pictures; null: it is none. */
function queryOf({ method, url = '' }: IncomingMessage): URLSearchParams | null {
  if (method !== 'POST' || !pictures.test(url)) return null;
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : url.slice(at));
}

const byProxy = ({ headers }: IncomingMessage): boolean => headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined || headers.via !== undefined;

/** `headers`: what every answer has. `proxied`: clients come by proxies, whether those say so or not. */
export function shedding(headers: Readonly<Record<string, string>>, { proxied = false }: { readonly proxied?: boolean } = {}): Shedding {
  const body = JSON.stringify(problemBody(tooMany()));
  const head = { ...headers, 'content-type': 'application/problem+json; charset=utf-8', 'content-length': Buffer.byteLength(body), 'retry-after': String(retryAfterSeconds) };
  const refusedAt = new WeakMap<Socket, number>();
  const known = knownAskers({ now: () => overload?.clock.now() ?? 0 });
  let overload: Overload | null = null;
  let held = 0;

  function behind({ turnsAway }: Overload, request: IncomingMessage): boolean {
    const query = queryOf(request);
    // A page of elsewhere can read no answer without the headers that the routes give it.
    if (query === null || request.headers.origin !== undefined || query.get('wait') === '0') return false;
    const who = known.of(request);
    // It may be somebody who asks for the first time in a while: who it is has to be found out.
    if (who === undefined) return false;
    return turnsAway(query.get('model') || (who?.model ?? null), who?.asker ?? null);
  }

  function refuse({ clock, refused }: Overload, request: IncomingMessage, response: ServerResponse): void {
    refusedAt.set(request.socket, clock.now());
    refused();
    response.writeHead(503, head).end(body);
  }

  /** It is not let in then even where there is room: who was let in and has waited before would be answered late all the same. */
  async function hold(by: Overload, request: IncomingMessage, response: ServerResponse, ms: number): Promise<void> {
    const left = new AbortController();
    const leave = (): void => left.abort();
    response.once('close', leave);
    held += 1;
    await by.clock.sleep(ms, left.signal);
    held -= 1;
    response.off('close', leave);
    if (!left.signal.aborted) refuse(by, request, response);
  }

  return {
    by(those) {
      overload = those;
    },
    found(request, asker) {
      if (queryOf(request)) known.found(request, asker);
    },
    meant(request, model) {
      if (queryOf(request)?.get('model') === null) known.meant(request, model);
    },
    pass(request, response, on) {
      if (overload === null || !behind(overload, request)) return on();
      const toldMs = retryAfterSeconds * 1_000;
      // A clock that is set back holds nobody longer than that.
      const early = Math.min(toldMs, (refusedAt.get(request.socket) ?? Number.NEGATIVE_INFINITY) + toldMs - overload.clock.now());
      if (early <= 0 || proxied || byProxy(request) || held >= mostHeld) refuse(overload, request, response);
      else void hold(overload, request, response, early);
    },
  };
}
