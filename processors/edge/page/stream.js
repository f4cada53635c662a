import { whyRefused, withTicket } from './access.js';

/** A client of /v1/stream; the README describes the protocol. Live: what is lost by a lost connection is not sent again. */

const HEADER_BYTES = 12;
/** The edge keeps outcomes that are not acknowledged, so that they can be told again; so many at most are worth telling. */
const ACK_EVERY = 32;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;
/** Closed for a reason that passes: the edge or a proxy goes or fails, the network, an hour is over. Any other would only be met again. */
const PASSES = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014, 4410, 4413, 4500]);
const KEY_IS_OVER = 4401;

/**
 * `wish`: {source, model}. `on`: {result, error, dropped} with the message, lost(reason) while it is away, ended(reason)
 * when it will not come back, ready() when there is room for frames.
 */
export function openStream(wish, on) {
  let socket = null;
  let session = null;
  let credits = 0;
  let next = 0;
  let acknowledged = -1;
  let closed = false;
  let failures = 0;

  async function connect() {
    const query = new URLSearchParams({ ...wish, policy: 'drop_oldest' });
    if (session) query.set('session', session);
    if (acknowledged >= 0) query.set('acknowledged', acknowledged);
    const path = `/v1/stream?${query}`;
    let url;
    try {
      url = await withTicket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`);
    } catch (error) {
      return lose(error);
    }
    if (closed) return;
    const mine = new WebSocket(url);
    let opened = false;
    socket = mine;
    mine.addEventListener('open', () => (opened = true));
    mine.addEventListener('message', ({ data }) => hear(JSON.parse(data)));
    mine.addEventListener('close', async ({ code, reason }) => {
      if (mine !== socket) return;
      credits = 0;
      if (code === KEY_IS_OVER) lose({ message: `A key is needed, and another one: ${reason}`, final: true });
      else if (!PASSES.has(code)) lose({ message: reason || `The connection was closed with ${code}.`, final: true });
      else lose((!opened && (await whyRefused(path))) || { message: reason });
    });
  }

  /** There is no connection any more; `final`: there will be none. */
  function lose({ message, final = false, afterMs = 0 }) {
    if (closed) return;
    if (final || (session === null && failures > 2)) {
      closed = true;
      on.ended(message || 'The connection was refused.');
      return;
    }
    on.lost(message || 'The connection is lost; trying again.');
    setTimeout(() => !closed && void connect(), Math.max(afterMs, Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++)));
  }

  function hear(message) {
    if (message.type === 'welcome') {
      session = message.session;
      credits = 0;
      failures = 0;
    }
    credits += message.credits ?? 0;
    if (message.type === 'result' || message.type === 'error' || message.type === 'dropped') {
      acknowledged = message.sequence;
      if (message.sequence % ACK_EVERY === 0) socket.send(JSON.stringify({ type: 'ack', sequence: message.sequence }));
      on[message.type](message);
    }
  }

  void connect();
  return {
    /** Whether a frame may be sent: without a credit the picture is better left out, as the next one is newer. */
    get ready() {
      return credits > 0 && socket.readyState === WebSocket.OPEN;
    },
    /** `image`: an ArrayBuffer. Answers its sequence number. */
    send(image, capturedAt) {
      const frame = new Uint8Array(HEADER_BYTES + image.byteLength);
      const header = new DataView(frame.buffer);
      header.setUint32(0, next);
      header.setBigUint64(4, BigInt(capturedAt));
      frame.set(new Uint8Array(image), HEADER_BYTES);
      credits -= 1;
      socket.send(frame);
      return next++;
    },
    close() {
      closed = true;
      socket.close(1000);
    },
  };
}
