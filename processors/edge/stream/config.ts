import { z } from 'zod';
import { count, mib, ms } from '../bounds.ts';

/** Limits of /v1/stream. Times in milliseconds. */
export const streamConfig = z.strictObject({
  /** Sockets open at once; more are refused with 503. */
  maxSockets: count(2_000),
  /** Those of one principal; more are refused with 429. Where nobody is asked who they are, everybody is the same, and has all. */
  maxSocketsEach: count(1_000),
  /** Largest encoded frame, in bytes; a larger message closes the socket with 1009. */
  frameBytes: count(4 * mib),
  /** Bytes of frames in hand, over all sockets: received, and not yet acknowledged by the log. */
  totalBytes: count(128 * mib),
  /** Credits of a socket: frames it may send before it hears of the earlier ones. */
  window: count(8),
  /** Frames of a live session in the pipeline at once: more would only age there. One that waits for every frame uses its whole window. */
  liveInFlight: count(4),
  /** Of all live sessions together, by model: at first, and at most; between them as many as are answered within the target, beside what comes by other doors (pace.ts). */
  liveFirst: count(32),
  liveMost: count(1_024),
  /** Also how long a live frame waits for its turn while that many are under way. */
  liveTargetMs: ms(1_000),
  /** Live frames that wait for a place in the pipeline; a newer one pushes the oldest out. */
  liveQueue: count(2),
  /** How long the answer to a live frame is worth having; 0: always. */
  liveMs: z.number().int().min(0).default(5_000),
  /** How long any answer is waited for. */
  answerMs: ms(60_000),
  /** Outcomes that wait for an earlier one of their session: above it no credit is given. */
  reorder: count(256),
  /** Outcomes kept for a client that has not acknowledged them: so many, and so many bytes of JSON. */
  keepResults: count(256),
  keepBytes: count(128 * 1024),
  /** Bytes of kept outcomes of all sessions: above it sessions without a socket go, the oldest first, then each keeps only its last. */
  keepTotalBytes: count(64 * mib),
  /** How long a session outlives its socket, and how many of those there are. */
  keepMs: ms(60_000),
  keepSessions: count(4_000),
  /** Within that a socket says what it wants. */
  openMs: ms(10_000),
  /** Silence after which a socket is pinged, and again that long until it is given up. */
  pingMs: ms(15_000),
  /** Without a frame for so long it is closed. */
  idleMs: ms(120_000),
  /** Its longest life: sockets spread anew over the edges. */
  lifeMs: ms(3_600_000),
  /** Within that a message has arrived whole. */
  frameMs: ms(20_000),
  /** Bytes of outcomes a client has not read, above which it is cut. */
  unreadBytes: count(mib),
});

export type StreamConfig = z.infer<typeof streamConfig>;
