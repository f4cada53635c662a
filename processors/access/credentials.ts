/** What a request shows to say who asks: one thing, in one place. */
import type { FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';

export interface Credential {
  readonly kind: 'bearer' | 'ticket';
  readonly text: string;
}

/** Longer than any key or token in use: what is longer is not looked at. */
const longest = 8192;

/**
 * `Authorization: Bearer …` or `X-API-Key: …`, a key or a token; `?ticket=…` on a GET, for what a browser opens without headers.
 * Never a key in the URL: URLs are logged, kept in histories and sent on as referrers. Throws unauthenticated.
 */
export function credentialOf(request: FastifyRequest): Credential {
  const { authorization, 'x-api-key': apiKey } = request.headers;
  const { ticket } = (request.query ?? {}) as { ticket?: unknown };
  const given: Credential[] = [];
  if (authorization !== undefined) given.push({ kind: 'bearer', text: bearer(authorization) });
  if (typeof apiKey === 'string') given.push({ kind: 'bearer', text: apiKey.trim() });
  if (typeof ticket === 'string' && request.method === 'GET') given.push({ kind: 'ticket', text: ticket });
  const [one, another] = given;
  if (!one) throw new SaccadeError('unauthenticated', 'Send a key as Authorization: Bearer … or X-API-Key: ….');
  // Of two, nobody could say later which one was meant.
  if (another) throw new SaccadeError('unauthenticated', 'Send one credential, not several.');
  if (one.text.length > longest) throw new SaccadeError('unauthenticated', 'The credential is too long.');
  return one;
}

function bearer(authorization: string): string {
  const match = /^Bearer +(\S+) *$/i.exec(authorization);
  if (!match) throw new SaccadeError('unauthenticated', 'Authorization: Bearer … is expected.');
  return match[1]!;
}
