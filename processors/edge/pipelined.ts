/**
 * Every response hears of the end of its connection. Of several requests that come by one connection without waiting for each other's
 * answers (pipelined) Node gives the connection to one response after the other, and those whose turn has not come hear nothing when it
 * ends: the places they have taken would be theirs for ever.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Before it listens. */
export function tellPipelined(server: Server): void {
  const open = new WeakMap<Socket, Set<ServerResponse>>();

  function begin(socket: Socket): Set<ServerResponse> {
    const responses = new Set<ServerResponse>();
    open.set(socket, responses);
    socket.once('close', () => {
      // One that has the connection is told by Node.
      for (const response of responses) if (response.socket === null) end(response);
    });
    return responses;
  }

  const tell = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    const responses = open.get(socket) ?? begin(socket);
    responses.add(response);
    response.once('close', () => responses.delete(response));
  };
  // Before whoever answers: it may be done at once.
  for (const event of ['request', 'checkContinue']) server.prependListener(event, tell);
}

/** As Node itself does, so that who asks later whether it is closed is told so. */
function end(response: ServerResponse): void {
  Object.assign(response, { destroyed: true, _closed: true });
  response.emit('close');
}
