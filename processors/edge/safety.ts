/** Headers that keep a browser from being used against the edge, and the origins whose pages may call it. */
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import Fastify, { type FastifyInstance } from 'fastify';

const ofEveryAnswer = new Set(['content-type', 'content-length', 'date', 'connection']);

/** What helmet says of an answer. It is asked once: its plug-in makes all of it anew for each request, which took longer than a route. */
export async function safeHeaders(tls: boolean): Promise<Readonly<Record<string, string>>> {
  const asked = Fastify();
  await asked.register(helmet, {
    // What the API answers is data: nothing of it may load or run anything, wherever it is opened.
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] } },
    // Over plain HTTP it would be ignored, or bind a host that has no certificate.
    strictTransportSecurity: tls,
    xFrameOptions: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
  });
  asked.get('/', async () => '');
  const { headers } = await asked.inject('/');
  await asked.close();
  return Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (ofEveryAnswer.has(name) ? [] : [[name, String(value)]])));
}

/** Before all other hooks, so that refusals have the headers too. A route with a page of its own sets a policy of its own. */
export async function installSafety(app: FastifyInstance, headers: Readonly<Record<string, string>>, origins: readonly string[]): Promise<void> {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers);
    done();
  });
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'x-api-key', 'content-type', 'idempotency-key', 'traceparent', 'saccade-otp'],
    exposedHeaders: ['retry-after', 'ratelimit', 'ratelimit-policy', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'server-timing', 'traceparent', 'location'],
    maxAge: 600,
    // Nothing here is in a cookie, so no other site can make a browser show it.
    credentials: false,
  });
}
