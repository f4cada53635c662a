/** Whether anybody is still there at the other end of a WebSocket, and sends on what was begun: looked at once a second. */
import type { WebSocket } from '@fastify/websocket';
import type { Socket } from 'node:net';
import type { Clock } from '../../connectors/ports.ts';

export interface Pulse {
  /** It was heard of just now. */
  heard(): void;
  /** Pings what is silent. Silent: it did not answer that either; trickling: a message takes too long to arrive whole. */
  check(now: number): 'silent' | 'trickling' | null;
}

export interface PulseOptions {
  readonly socket: WebSocket;
  /** What lies beneath: it knows of bytes that are not a message yet. */
  readonly raw: Pick<Socket, 'bytesRead'>;
  readonly clock: Clock;
  /** Silence after which it is pinged, and again that long until it is given up; within what a message has arrived. In milliseconds. */
  readonly limits: { readonly pingMs: number; readonly frameMs: number };
}

/** Bytes of pongs and the like, which are not the beginning of a message. */
const smallBytes = 256;

export function takePulse({ socket, raw, clock, limits }: PulseOptions): Pulse {
  let [heardAt, pingedAt] = [clock.now(), 0];
  let [readBefore, arrivingSince] = [raw.bytesRead, 0];

  function heard(): void {
    heardAt = clock.now();
    readBefore = raw.bytesRead;
    arrivingSince = 0;
  }
  /** Its bytes are in memory before anybody has counted them. */
  function trickles(now: number): boolean {
    if (raw.bytesRead - readBefore <= smallBytes) arrivingSince = 0;
    else if (arrivingSince === 0) arrivingSince = now;
    return arrivingSince !== 0 && now - arrivingSince > limits.frameMs;
  }

  socket.on('message', heard).on('pong', heard).on('ping', heard);
  return {
    heard,
    check(now) {
      if (trickles(now)) return 'trickling';
      if (now - heardAt <= limits.pingMs) return null;
      if (pingedAt > heardAt) return now - pingedAt > limits.pingMs ? 'silent' : null;
      pingedAt = now;
      socket.ping();
      return null;
    },
  };
}
