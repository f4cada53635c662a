/** A picture as an answer. It is somebody's, and what may be shown of it may change: a browser asks each time, and is spared the bytes. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Shown } from '../../../connectors/ports.ts';

export function sendPicture(request: FastifyRequest, reply: FastifyReply, { contentType, bytes }: Shown): FastifyReply {
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
  void reply.headers({ etag, 'cache-control': 'private, no-cache', vary: 'authorization, x-api-key', 'x-content-type-options': 'nosniff' });
  return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.type(contentType).send(bytes);
}
