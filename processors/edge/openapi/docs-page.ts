/** GET /docs: the document as a page to read and try out. Everything it loads comes from here, so it works without a network. */
import { readFileSync } from 'node:fs';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Its icons are data: URLs, and some of its widgets come with style attributes. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export async function installDocsPage(app: FastifyInstance): Promise<void> {
  await app.register(async (scope) => {
    // Its routes are the plug-in's: what they need can only be said here.
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, needs: 'anyone' };
    });
    scope.addHook('onSend', async (_request, reply) => {
      void reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    });
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: policy,
      theme: { title: 'Saccade: the API' },
      logo: { type: 'image/svg+xml', content: readFileSync(new URL('../page/icon.svg', import.meta.url)), href: '/' },
      uiConfig: { docExpansion: 'list', defaultModelsExpandDepth: 0, displayRequestDuration: true, tryItOutEnabled: true },
    });
  });
}
