/** A TCP proxy in front of an engine, which makes it away or slow for its clients without touching the engine. */
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** refused: connections are reset and new ones refused; silent: nothing passes and nothing is said, as behind a dead switch. */
export type Weather = { readonly kind: 'open' | 'refused' | 'silent' } | { readonly kind: 'slow'; readonly ms: number };

export interface TcpProxy {
  readonly port: number;
  set(weather: Weather): Promise<void>;
  close(): Promise<void>;
}

export async function tcpProxy(port: number, target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  let weather: Weather = { kind: 'open' };
  let changed = new AbortController();
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const engine = connect({ ...target, allowHalfOpen: true });
    for (const [from, to] of [[client, engine], [engine, client]] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.once('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      void pass(from, to);
    }
  });

  async function pass(from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from) {
        await held();
        if (!to.write(chunk as Buffer)) await new Promise((resolve) => to.once('drain', resolve).once('close', resolve));
      }
      await held();
      to.end();
    } catch {
      // A connection that breaks is what this is for.
    }
  }

  /** Waits as long as the weather says, for each piece that passes. */
  async function held(): Promise<void> {
    while (weather.kind === 'silent') await sleep(60_000, undefined, { signal: changed.signal }).catch(() => {});
    if (weather.kind === 'slow') await sleep(weather.ms, undefined, { signal: changed.signal }).catch(() => {});
  }

  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  const stopListening = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  const cut = (): void => sockets.forEach((socket) => socket.destroy());

  await listen();
  return {
    port,
    async set(next) {
      const before = weather.kind;
      weather = next;
      changed.abort();
      changed = new AbortController();
      if (next.kind === 'refused' && before !== 'refused') {
        cut();
        await stopListening();
      } else if (next.kind !== 'refused' && before === 'refused') await listen();
    },
    async close() {
      cut();
      if (server.listening) await stopListening();
    },
  };
}
