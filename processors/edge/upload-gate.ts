/** How much may be in hand at once: asked before a body is read, since what is read is already memory. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';
import { openShares } from './shares.ts';

export interface UploadGate {
  /**
   * Counts the request until its response ends or its client leaves. `mostBytes` is what a body of unknown length is counted
   * as, and the most that is kept of any. Throws overloaded, with nothing counted: beyond `maxRequests` whoever has its part of them already;
   * bad_request for a client that has left.
   */
  enter(request: FastifyRequest, reply: FastifyReply, mostBytes: number): void;
}

export interface UploadLimits {
  readonly maxRequests: number;
  readonly maxBytes: number;
}

export function uploadGate({ maxRequests, maxBytes }: UploadLimits): UploadGate {
  let requests = 0;
  let bytes = 0;
  const shares = openShares();

  function sizeOf(request: FastifyRequest, mostBytes: number): number {
    const length = Number(request.headers['content-length'] ?? Number.NaN);
    return Number.isNaN(length) ? mostBytes : Math.min(length, mostBytes);
  }

  return {
    enter(request, reply, mostBytes) {
      const { principal } = request;
      // While it was asked who it is: nobody would hear of it a second time, and its place would never be given back.
      if (reply.raw.destroyed) throw new SaccadeError('bad_request', 'The client has left.');
      if (requests >= maxRequests && !shares.within(principal, maxRequests)) throw new SaccadeError('overloaded', `${requests} requests are waiting.`);
      const size = sizeOf(request, mostBytes);
      // One is always let in, else a bound below the largest image would refuse that image for ever.
      if (requests > 0 && bytes + size > maxBytes) throw new SaccadeError('overloaded', `${bytes} bytes of images are in hand.`);
      requests += 1;
      bytes += size;
      shares.take(principal);
      // Comes after the end of the response and after an abort alike.
      reply.raw.once('close', () => {
        requests -= 1;
        bytes -= size;
        shares.back(principal);
      });
    },
  };
}
