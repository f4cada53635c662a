/** The page, what it is told as it happens (server-sent events), and the pictures it shows. */
import { readFileSync, readdirSync } from 'node:fs';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Prediction } from '../../schemas/records.ts';
import { sendPicture } from './frames/send-picture.ts';
import type { SeenPicture } from './known-pictures.ts';
import type { Vigil } from './principal.ts';
import { sendProblem } from './problem.ts';

/** What the routes need of processors/live: the edge passes events on without knowing what is in them. */
export interface LiveFeed {
  /** What this tenant may see. */
  of(tenant: string): LiveFeedView;
}

export interface LiveFeedView {
  snapshot(): unknown;
  subscribe(listener: (event: { readonly event: string; readonly data: unknown }) => void): () => void;
  /** Every prediction once, as it comes. */
  follow(listener: (prediction: Prediction) => void): () => void;
  picture(frameId: string): Promise<{ readonly contentType: string; readonly bytes: Buffer } | null>;
  /** A picture of this tenant that does not lie in `frames`, to be shown all the same. */
  seen(picture: SeenPicture): void;
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Labels and source names come from outside: even if one got into the markup, nothing of it could run or load. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const config = { needs: 'viewer' } as const;

const HEARTBEAT_MS = 15_000;
/** Bytes a client has not taken yet: above the first, frames are left out for it; above the second it is let go. */
const SKIP_BYTES = 256 * 1024;
const DROP_BYTES = 2 * 1024 * 1024;
const RECONNECT_MS = 1_000;

/**
 * GET / and its assets; GET /live/events: `snapshot` first, then `frame` and `stats`; GET /live/frames/:id: the picture as
 * it came, 404 when it is not held.
 */
export function liveRoutes(app: FastifyInstance, { live, vigil }: { readonly live: LiveFeed; readonly vigil: Vigil }): void {
  pageRoutes(app);

  const clients = new Set<ServerResponse>();
  app.get('/live/events', { exposeHeadRoute: false, config }, (request, reply) => {
    reply.hijack();
    const response = reply.raw;
    // While it was asked who it is: nothing would ever end its stream.
    if (response.destroyed) return;
    clients.add(response);
    response.writeHead(200, {
      ...(reply.getHeaders() as OutgoingHttpHeaders),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Else a proxy in front collects events until its buffer is full.
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${RECONNECT_MS}\n\n`);
    const stop = stream(response, live.of(request.principal.tenant));
    // The page asks again, and is told then that its key is none.
    const endWatch = vigil(request.principal, () => response.end());
    response.on('error', () => undefined).on('close', () => {
      stop();
      endWatch();
      clients.delete(response);
    });
  });
  // An event stream never ends by itself; without this, closing the server would wait for every viewer.
  app.addHook('preClose', async () => {
    for (const response of clients) response.end();
  });

  app.get<{ Params: { id: string } }>('/live/frames/:id', { config: { ...config, audited: false } }, async (request, reply) => {
    const picture = await live.of(request.principal.tenant).picture(request.params.id);
    if (!picture) return sendProblem(reply, new SaccadeError('not_found', 'This frame is not, or no longer, held.'));
    return sendPicture(request, reply, picture);
  });
}

function stream(response: ServerResponse, live: LiveFeedView): () => void {
  const send = (event: string, data: unknown): void => {
    // The system's buffer is full and ours grows: this viewer's network is slower than the stream.
    if (response.writableLength > DROP_BYTES) response.destroy();
    else if (event !== 'frame' || response.writableLength <= SKIP_BYTES) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const unsubscribe = live.subscribe(({ event, data }) => send(event, data));
  send('snapshot', live.snapshot());
  const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT_MS);
  heartbeat.unref();
  return () => {
    clearInterval(heartbeat);
    unsubscribe();
  };
}

/** Read once: the files are few and small, and no request then names a path. */
function pageRoutes(app: FastifyInstance): void {
  const folder = new URL('./page/', import.meta.url);
  for (const file of readdirSync(folder)) {
    const type = types[extname(file)];
    if (type === undefined) continue;
    const body = readFileSync(new URL(file, folder));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    app.get(file === 'index.html' ? '/' : `/page/${file}`, { config: { needs: 'anyone' } }, (request, reply) => {
      void reply.headers({
        etag,
        'cache-control': 'no-cache',
        'content-security-policy': policy,
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      });
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type(type).send(body);
    });
  }
}
