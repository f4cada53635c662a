/** Sends malformed requests as they are, and tells what came back. */
import { connect } from 'node:net';
import type { Malformed } from './malformed.ts';

/** `status` null: the connection ended without an answer. */
export interface Told {
  readonly kind: string;
  readonly status: number | null;
  readonly body: string;
  readonly outcome: 'answered' | 'closed' | 'left' | 'silent';
}

const patienceMs = 15_000;
/** A client that leaves gives what it has sent time to arrive. */
const leaveMs = 20;

export function sendMalformed(url: string, { kind, bytes, leavesAfter }: Malformed): Promise<Told> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const chunks: Buffer[] = [];
    const end = (outcome: Told['outcome']): void => {
      clearTimeout(patience);
      socket.destroy();
      const text = Buffer.concat(chunks).toString('latin1');
      const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
      resolve({ kind, status: status === undefined ? null : Number(status), body: text.slice(text.indexOf('\r\n\r\n') + 4), outcome: status === undefined ? outcome : 'answered' });
    };
    const patience = setTimeout(() => end('silent'), patienceMs);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => end('closed'));
    socket.on('close', () => end('closed'));
    socket.write(leavesAfter === null ? bytes : bytes.subarray(0, leavesAfter), () => {
      if (leavesAfter !== null) setTimeout(() => end('left'), leaveMs);
      else if (kind === 'noise') socket.end();
    });
  });
}

/** All of them, so many at once, by kind and status. `told` hears each. */
export async function sendAll(url: string, requests: Iterable<Malformed>, atOnce: number, told: (one: Told) => void): Promise<void> {
  const each = requests[Symbol.iterator]();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = each.next(); !next.done; next = each.next()) told(await sendMalformed(url, next.value));
    }),
  );
}
