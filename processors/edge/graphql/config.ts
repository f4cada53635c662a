import { z } from 'zod';
import { count, mib, ms } from '../bounds.ts';

/** Limits of the WebSockets of /graphql. Times in milliseconds. A message may have as many bytes as one of /v1/stream, which is on the same server. */
export const graphqlConfig = z.strictObject({
  /** Open at once, and of one key or token; more are refused with 503 and 429. */
  maxSockets: count(1_000),
  maxSocketsEach: count(100),
  /** Operations of a socket that are under way. */
  operations: count(20),
  /** Bytes of the messages by which operations under way were asked for, over all sockets; more are answered overloaded. */
  totalBytes: count(128 * mib),
  /** The same of one key or token: what it leaves is for the others. */
  eachBytes: count(32 * mib),
  /** Within that the client initialises. */
  initMs: ms(10_000),
  /** Silence after which a socket is pinged, and again that long until it is given up. */
  pingMs: ms(15_000),
  /** Without an operation for so long it is closed. */
  idleMs: ms(300_000),
  /** Its longest life: sockets spread anew over the edges. */
  lifeMs: ms(3_600_000),
  /** Within that a message has arrived whole. */
  frameMs: ms(20_000),
  /** Bytes a client has not taken yet, above which it is let go. */
  unreadBytes: count(mib),
});

export type GraphqlConfig = z.infer<typeof graphqlConfig>;
