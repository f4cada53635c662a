/** A client of /v1/stream for the tests: what it was told, in order, and what it can do wrong. */
import { WebSocket } from 'ws';
import { eventually } from './pipeline.ts';

export interface Told {
  readonly type: string;
  readonly sequence?: number;
  readonly credits?: number;
  readonly [field: string]: unknown;
}

export interface StreamClient {
  readonly socket: WebSocket;
  /** Everything, in order. */
  readonly told: Told[];
  /** Results, errors and drops. */
  outcomes(): Told[];
  credits(): number;
  welcome(): Told;
  /** The code and reason it was closed with; null while it is open. */
  closed(): { readonly code: number; readonly reason: string } | null;
  /** Whether there are credits or not. */
  frame(sequence: number, image: Buffer, capturedAt?: number): void;
  /** Waits for a credit first. */
  paced(sequence: number, image: Buffer): Promise<void>;
  say(message: object): void;
  close(): Promise<void>;
}

export function framed(sequence: number, image: Buffer, capturedAt = 0): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32BE(sequence);
  header.writeBigUInt64BE(BigInt(capturedAt), 4);
  return Buffer.concat([header, image]);
}

const isOutcome = ({ type }: Told): boolean => type === 'result' || type === 'error' || type === 'dropped';

/** `wish` becomes the query; null: it says what it wants itself. Resolves when the socket is open. */
export async function streamClient(url: string, wish: Readonly<Record<string, string | number>> | null, headers: Record<string, string> = {}): Promise<StreamClient> {
  const query = wish === null ? '' : `?${new URLSearchParams(Object.fromEntries(Object.entries(wish).map(([name, value]) => [name, String(value)])))}`;
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/stream${query}`, { headers });
  const told: Told[] = [];
  let credits = 0;
  let closed: { code: number; reason: string } | null = null;
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as Told;
    told.push(message);
    credits += message.credits ?? 0;
  });
  socket.on('close', (code, reason) => (closed = { code, reason: reason.toString() }));
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  const client: StreamClient = {
    socket,
    told,
    outcomes: () => told.filter(isOutcome),
    credits: () => credits,
    welcome() {
      const first = told[0];
      if (first?.type !== 'welcome') throw new Error(`no welcome, but ${JSON.stringify(first)}`);
      return first;
    },
    closed: () => closed,
    frame(sequence, image, capturedAt) {
      credits -= 1;
      socket.send(framed(sequence, image, capturedAt));
    },
    async paced(sequence, image) {
      await eventually(() => credits > 0 || closed !== null, 'a credit');
      if (closed) throw new Error(`closed with ${JSON.stringify(closed)}`);
      client.frame(sequence, image);
    },
    say: (message) => socket.send(JSON.stringify(message)),
    async close() {
      socket.close();
      await eventually(() => closed !== null, 'the end of the socket');
    },
  };
  if (wish !== null) await eventually(() => told.length > 0 || closed !== null, 'the welcome');
  return client;
}

/** What a refused upgrade was answered with. */
export function refusedUpgrade(url: string, headers: Record<string, string> = {}): Promise<{ readonly status: number; readonly code: string; readonly detail: string }> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers });
  return new Promise((resolve, reject) => {
    socket.once('open', () => (socket.terminate(), reject(new Error('it was not refused'))));
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => {
        const { code = '', detail = '' } = JSON.parse(body || '{}') as { code?: string; detail?: string };
        resolve({ status: response.statusCode ?? 0, code, detail });
      });
    });
  });
}
