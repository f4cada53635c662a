import type { FastifyReply } from 'fastify';

/** Aborts when the client is gone before the answer is out. */
export function gone(reply: FastifyReply): AbortSignal {
  const aborting = new AbortController();
  // While it was asked who it is.
  if (reply.raw.destroyed) aborting.abort();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) aborting.abort();
  });
  return aborting.signal;
}
