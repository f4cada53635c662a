/**
 * Lets go of clients that have stopped reading. What waits for one holds its memory, its connection and its place at the gates;
 * Node limits how long a request may take to come, but not how long its answer may take to go.
 */
import type { Server, Socket } from 'node:net';

interface Watched {
  /** Bytes of it that the system had taken when they last grew, and when that was. */
  taken: number;
  since: number;
}

/**
 * Answers what is to be called now and then: it destroys every connection of the server of which, for `stalledMs`, something has
 * waited to be written and nothing was. One that reads slowly is served to the end.
 */
export function slowReaders(server: Server, { stalledMs, now }: { readonly stalledMs: number; readonly now: () => number }): () => void {
  const watched = new Map<Socket, Watched>();
  // Of HTTPS that is the socket below the one that speaks: above it, it cannot be seen how much of a long answer has gone.
  server.on('connection', (socket: Socket) => {
    watched.set(socket, { taken: 0, since: now() });
    socket.once('close', () => watched.delete(socket));
  });

  return () => {
    const at = now();
    for (const [socket, seen] of watched) {
      const { taken, waiting } = writtenTo(socket);
      if (waiting === 0 || taken !== seen.taken) {
        seen.taken = taken;
        seen.since = at;
      } else if (at - seen.since >= stalledMs) socket.destroy();
    }
  };
}

/** In bytes, what the system has taken and what it has not. Node has no public name for either; its own timers of idle sockets go by them. */
function writtenTo(socket: Socket): { readonly taken: number; readonly waiting: number } {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly bytesWritten: number; readonly writeQueueSize: number } | null };
  if (!handle) return { taken: 0, waiting: 0 };
  return { taken: handle.bytesWritten - handle.writeQueueSize, waiting: handle.writeQueueSize };
}
