/** One socket of /v1/stream: its messages, and every way in which it can end. */
import type { WebSocket } from '@fastify/websocket';
import type { Socket } from 'node:net';
import { asSaccadeError, type SaccadeError } from '../../../connectors/errors.ts';
import type { Clock } from '../../../connectors/ports.ts';
import type { Tap } from '../ledger.ts';
import type { ProblemLog } from '../problem.ts';
import { takePulse } from '../pulse.ts';
import type { StreamConfig } from './config.ts';
import type { Link } from './link.ts';
import { closeCodes, headerBytes, type Opening, readFrame, readMessage } from './protocol.ts';
import type { Session } from './session.ts';

export interface Connection {
  /** Once a second: pings, and ends what is silent, idle, too slow or too old. */
  check(now: number): void;
  close(code: number, reason: string): void;
  /** At once, without a word. */
  terminate(): void;
}

export interface ConnectionOptions {
  readonly socket: WebSocket;
  /** What lies beneath: it knows of bytes that are not a message yet. */
  readonly raw: Socket;
  readonly limits: StreamConfig;
  readonly clock: Clock;
  readonly logger: ProblemLog;
  readonly tap: Tap;
  /** From the query; null: the first message says it. */
  readonly opening: Opening | null;
  /** Attaches the link to the session that is wanted. Throws bad_request, unknown_model, model_unloading. */
  open(wish: Opening, link: Link): Session;
  closed(code: number, session: Session | null): void;
}

/** After which a socket that was told to close is ended: a client that does not answer must not keep its memory. */
const lingerMs = 1_000;
/** What the protocol allows a reason, in bytes. */
const reasonBytes = 123;

const shortened = (reason: string): string => {
  const bytes = Buffer.from(reason);
  return bytes.length <= reasonBytes ? reason : `${bytes.subarray(0, reasonBytes - 3).toString().replace(/\uFFFD+$/, '')}…`;
};

function codeOf({ code, status }: SaccadeError): number {
  if (code === 'unknown_model' || code === 'model_unloading') return closeCodes.unserved;
  return status < 500 ? closeCodes.malformed : closeCodes.internal;
}

export function connect({ socket, raw, limits, clock, logger, tap, opening, open, closed }: ConnectionOptions): Connection {
  const since = clock.now();
  let session: Session | null = null;
  /** What it was closed with by us; null while it is open. */
  let code: number | null = null;
  let paused = false;
  let framedAt = since;
  // Before what is done with a message: that it came counts whatever it is.
  const pulse = takePulse({ socket, raw, limits, clock });

  function close(why: number, reason: string): void {
    if (code !== null) return;
    code = why;
    socket.resume();
    socket.close(why, shortened(reason));
    setTimeout(() => socket.terminate(), lingerMs).unref();
  }

  const link: Link = {
    send(json) {
      if (code !== null) return;
      socket.send(json);
      if (socket.bufferedAmount > limits.unreadBytes) close(closeCodes.slowReader, 'Outcomes are not read.');
    },
    close,
    tap,
    get slow() {
      return socket.bufferedAmount > limits.unreadBytes / 4;
    },
    pause() {
      paused = true;
      socket.pause();
    },
    resume() {
      paused = false;
      // Nobody could be heard meanwhile.
      framedAt = clock.now();
      pulse.heard();
      socket.resume();
    },
  };

  /** Throws bad_request. */
  function take(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      if (session === null) return close(closeCodes.malformed, 'A frame before the session is open: open it in the query or by a message of type open.');
      if (data.length > limits.frameBytes + headerBytes) return close(closeCodes.tooLarge, `A frame of ${data.length} bytes; its image may have ${limits.frameBytes}.`);
      framedAt = clock.now();
      return session.receive(readFrame(data));
    }
    const message = readMessage(data.toString());
    if (message.type === 'open') {
      if (session !== null) return close(closeCodes.malformed, 'The session is open already.');
      session = open(message, link);
    } else if (session === null) close(closeCodes.malformed, `A message of type ${message.type} before the session is open.`);
    else if (message.type === 'ack') session.acknowledge(message.sequence);
    else session.end();
  }

  function guarded(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      const error = asSaccadeError(thrown);
      if (error.status >= 500) logger.error({ err: thrown }, 'a stream failed');
      close(codeOf(error), error.status < 500 ? error.message : error.title);
    }
  }

  socket.on('message', (data, isBinary) => {
    if (code === null) guarded(() => take(data as Buffer, isBinary));
  });
  socket.on('close', (given) => {
    session?.detach(link);
    closed(code ?? given, session);
    code ??= given;
  });
  if (opening) guarded(() => void (session = open(opening, link)));

  return {
    check(now) {
      if (code !== null || paused) return;
      // Not only by what is sent here: each ping of its is answered too.
      if (socket.bufferedAmount > limits.unreadBytes) return close(closeCodes.slowReader, 'Outcomes are not read.');
      if (session === null && now - since > limits.openMs) return close(closeCodes.timeout, 'No session was opened in time.');
      if (now - since > limits.lifeMs) return close(closeCodes.lifetime, 'The socket has reached its longest life: connect again and resume.');
      if (session !== null && !session.credited) framedAt = now;
      if (now - framedAt > limits.idleMs) return close(closeCodes.timeout, 'No frame for a long time.');
      const trouble = pulse.check(now);
      if (trouble === 'trickling') return close(closeCodes.timeout, 'A message took too long to arrive.');
      if (trouble === null) return session?.nudge();
      // Nobody is there to be told.
      code = 1006;
      socket.terminate();
    },
    close,
    terminate: () => socket.terminate(),
  };
}
