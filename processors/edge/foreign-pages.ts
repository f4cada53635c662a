/**
 * Pages of other sites, kept out. A browser sends what any page asks it to, over its user's own loopback; CORS keeps the answer from
 * the page and not the request from us, and of WebSockets it keeps nothing. Programs send neither Origin nor Sec-Fetch-Site.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import { isThisMachineToBrowsers, withoutPort } from '../../schemas/this-machine.ts';

export interface PageRules {
  /** The edge asks nobody who they are: whatever a page of another site can send is refused, not only sockets. */
  readonly open: boolean;
  /** Pages that may call all the same. */
  readonly origins: readonly string[];
}

/** Before it is asked who asks, and after CORS, which answers preflights by itself. */
export function refuseForeignPages(app: FastifyInstance, { open, origins }: PageRules): void {
  const listed = new Set(origins);
  if (open) refuseForeignNames(app, origins);
  app.addHook('onRequest', async (request) => {
    const { origin, upgrade } = request.headers;
    if (!open && upgrade === undefined) return;
    if (origin !== undefined ? !listed.has(origin) && !isOwn(origin, request) : open && isForeign(request)) {
      throw new SaccadeError('forbidden', `A page of ${origin === undefined ? 'another site' : origin.slice(0, 100)} may not call here: SACCADE_CORS names those that may.`);
    }
  });
}

/**
 * A name of this machine, or of a listed origin, is what a request must be meant for: a page's own name can be made to lead here
 * (DNS rebinding), and all that it then asks for is of its own origin.
 */
export function refuseForeignNames(app: FastifyInstance, origins: readonly string[] = []): void {
  const hosts = new Set(origins.map((origin) => new URL(origin).host));
  app.addHook('onRequest', async ({ headers: { host } }) => {
    if (host === undefined || isThisMachineToBrowsers(withoutPort(host)) || hosts.has(host)) return;
    throw new SaccadeError('forbidden', `'${host.slice(0, 100)}' is no name of this machine, and without SACCADE_AUTH=required nobody else may ask: SACCADE_CORS names what leads here.`);
  });
}

/** The page is the edge's own: by the name it was called by, or by which a trusted proxy says that it was. */
function isOwn(origin: string, { headers, host }: FastifyRequest): boolean {
  if (!URL.canParse(origin)) return false;
  const own = new URL(origin).host;
  return own === headers.host || own === host;
}

/** Of what has no Origin a browser says this much to a loopback or HTTPS address. That somebody follows a link to the page is well. */
function isForeign({ method, headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  return !(method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document');
}
