/**
 * One keep-alive connection: a request out, its answer in. It shares the processors with what it measures, so it does as little
 * as a client can: one write of two buffers, no headers read but the length.
 */
import { connect, type Socket } from 'node:net';
import { SaccadeError } from '../../connectors/errors.ts';

export interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

export interface Connection {
  /** One at a time. Rejects with engine_unavailable when the other side closes instead of answering; the next request connects anew. */
  ask(request: readonly Buffer[]): Promise<Reply>;
  close(): void;
}

const headEnd = Buffer.from('\r\n\r\n');

/** A request with this body; its parts are sent as they are, not copied together. */
export function requestOf(path: string, type: string, body: readonly Buffer[]): Buffer[] {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return [Buffer.from(`POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`), ...body];
}

export const getOf = (path: string): Buffer[] => [Buffer.from(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`)];

export function openConnection(url: string): Connection {
  const { hostname, port } = new URL(url);
  let socket: Socket | null = null;
  let asked: { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void } | null = null;
  let received: Buffer[] = [];
  let bytes = 0;
  /** Of the answer that is arriving: status and whole length with its head; null until the head is there. */
  let expected: { readonly status: number; readonly from: number; readonly length: number } | null = null;

  function lost(one: Socket, why: string): void {
    if (socket !== one) return;
    socket = null;
    one.destroy();
    const waiting = asked;
    asked = null;
    waiting?.reject(new SaccadeError('engine_unavailable', `${url}: ${why}`));
  }

  function head(all: Buffer): typeof expected {
    const end = all.indexOf(headEnd);
    if (end < 0) return null;
    const text = all.toString('latin1', 0, end);
    const length = /\ncontent-length: *(\d+)/i.exec(text);
    if (!length) throw new SaccadeError('engine_unavailable', `${url}: an answer without a content-length: ${text.slice(0, 200)}`);
    return { status: Number(text.slice(9, 12)), from: end + headEnd.length, length: end + headEnd.length + Number(length[1]) };
  }

  function take(one: Socket, chunk: Buffer): void {
    received.push(chunk);
    bytes += chunk.length;
    if (!expected) {
      const all = received.length === 1 ? chunk : Buffer.concat(received);
      received = [all];
      try {
        expected = head(all);
      } catch (error) {
        return lost(one, (error as Error).message);
      }
    }
    if (!expected || bytes < expected.length || !asked) return;
    const reply = { status: expected.status, body: Buffer.concat(received).subarray(expected.from, expected.length) };
    const { resolve } = asked;
    [asked, expected, received, bytes] = [null, null, [], 0];
    resolve(reply);
  }

  function open(): Socket {
    const one = connect({ host: hostname, port: Number(port), noDelay: true });
    one.on('data', (chunk) => take(one, chunk));
    one.on('error', (error) => lost(one, error.message));
    one.on('close', () => lost(one, 'closed'));
    [expected, received, bytes] = [null, [], 0];
    return one;
  }

  return {
    ask(request) {
      return new Promise((resolve, reject) => {
        asked = { resolve, reject };
        const to = (socket ??= open());
        to.cork();
        for (const part of request) to.write(part);
        to.uncork();
      });
    },
    close() {
      socket?.destroy();
      socket = null;
    },
  };
}
