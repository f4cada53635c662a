/**
 * Which requests leave HTTP: those for a WebSocket. As soon as anybody listens for upgrades, Node hands over every request that offers
 * one, whatever to, and reads no body of it; but an offer may be ignored (RFC 9110, 7.8), and clients make it unasked: Java's offers
 * h2c in its first request to a server, curl in each with --http2.
 */
import { IncomingMessage } from 'node:http';

/** Node asks the message itself whether it is an upgrade, once its headers are there. A class, as the server's option wants one. */
export class PlainUnlessWebSocket extends IncomingMessage {
  /** Not `#offers`: it is written to before this class's fields are there. */
  private offers = false;

  get upgrade(): boolean {
    return this.offers && (this.method === 'CONNECT' || (this.method === 'GET' && this.headers.upgrade?.toLowerCase() === 'websocket'));
  }

  /** What the parser found. */
  set upgrade(offers: boolean) {
    this.offers = offers;
  }
}

/** Of a request as this server takes it in. */
export const leavesHttp = (request: IncomingMessage): boolean => request instanceof PlainUnlessWebSocket && request.upgrade;
