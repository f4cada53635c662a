/**
 * The sockets kafkajs reads from. By default a socket hands on what it reads in new buffers of 64 KB, which kafkajs joins to
 * a response: twice the bytes of every fetch become garbage. Here a socket reads into memory of its own, and each response
 * is put together once, where it stays.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

const keepAliveMs = 60_000;
/** At once; the system's own buffers are of this order. */
const readBytes = 256 * 1024;
/** Far above what is ever asked for. What another protocol begins with reads as a number above it. */
const mostBytes = 256 * 1024 * 1024;
const sizeBytes = 4;

export interface Frames {
  /** Takes over bytes as they came; they may be overwritten afterwards. */
  push(bytes: Buffer): void;
}

/** Kafka's responses, each with its size in front as it came. Throws RangeError for what cannot be one. */
export function frames(whole: (response: Buffer) => void): Frames {
  const head = Buffer.alloc(sizeBytes);
  let headBytes = 0;
  let response: Buffer | null = null;
  let filled = 0;

  function begin(): Buffer {
    const size = head.readInt32BE(0);
    if (size < 0 || size > mostBytes) throw new RangeError(`a response of ${size} bytes: this is no Kafka, or one that speaks TLS`);
    const begun = Buffer.allocUnsafe(sizeBytes + size);
    filled = head.copy(begun);
    headBytes = 0;
    return begun;
  }

  return {
    push(bytes) {
      for (let at = 0; at < bytes.length; ) {
        if (response === null) {
          const taken = bytes.copy(head, headBytes, at, at + sizeBytes - headBytes);
          headBytes += taken;
          at += taken;
          if (headBytes < sizeBytes) return;
          response = begin();
        } else {
          const taken = bytes.copy(response, filled, at);
          filled += taken;
          at += taken;
        }
        if (filled < response.length) continue;
        const done = response;
        response = null;
        whole(done);
      }
    },
  };
}

export const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const incoming = frames((response) => void socket.emit('data', response));
  const onread = {
    buffer: Buffer.allocUnsafeSlow(readBytes),
    callback(count: number, buffer: Uint8Array): boolean {
      try {
        incoming.push(Buffer.from(buffer.buffer, buffer.byteOffset, count));
      } catch (error) {
        socket.destroy(error as Error);
      }
      return true;
    },
  };
  const at = { host, port, onread };
  const socket: Socket = ssl ? connectTls({ ...at, ...(isIP(host) ? {} : { servername: host }), ...(typeof ssl === 'object' ? ssl : {}) }, onConnect) : connectPlain(at, onConnect);
  socket.setKeepAlive(true, keepAliveMs);
  return socket;
};
