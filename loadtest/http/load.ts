/** Load on one service: users that take turns with themselves, or arrivals at a rate, whoever is ready. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, getOf, openConnection, type Reply } from './connection.ts';

export interface Load {
  readonly url: string;
  /** The next request, its bytes unlike any before where that is wanted. */
  request(): readonly Buffer[];
  readonly seconds: number;
  /** Whether an answer is the one expected; absent: 2xx is. */
  readonly good?: (reply: Reply) => boolean;
}

export interface Measured {
  /** Milliseconds of each request that was answered as expected. */
  readonly ms: readonly number[];
  /** By status, or what became of the connection. */
  readonly errors: Readonly<Record<string, number>>;
  /** From the first request to the last answer. */
  readonly seconds: number;
}

function recorder(good: Load['good'] = ({ status }) => status >= 200 && status < 300) {
  const ms: number[] = [];
  const errors: Record<string, number> = {};
  const startedAt = performance.now();
  const failed = (what: string): void => void (errors[what] = (errors[what] ?? 0) + 1);
  return {
    /** `since`: when it should have left, which is not when it could where the connections were all in use. */
    async ask(connection: Connection, request: readonly Buffer[], since = performance.now()): Promise<void> {
      try {
        const reply = await connection.ask(request);
        if (good(reply)) ms.push(performance.now() - since);
        else failed(String(reply.status));
      } catch (error) {
        failed((error as Error).message.slice(0, 80));
      }
    },
    measured: (): Measured => ({ ms, errors, seconds: (performance.now() - startedAt) / 1000 }),
  };
}

/** Connections that the other side has taken up: Node takes one for each turn of its loop, and what that costs is not asked here. */
async function opened(url: string, count: number): Promise<Connection[]> {
  const connections = Array.from({ length: count }, () => openConnection(url));
  await Promise.all(connections.map((connection) => connection.ask(getOf('/health')).catch(() => {})));
  return connections;
}

/** Each user sends, waits for the answer, thinks (half to one and a half of `thinkMs`), and begins again. */
export async function users({ url, request, seconds, good }: Load, count: number, thinkMs = 0): Promise<Measured> {
  const connections = await opened(url, count);
  const record = recorder(good);
  const until = performance.now() + seconds * 1000;
  try {
    await Promise.all(
      connections.map(async (connection) => {
        // Not all at the same moment.
        if (thinkMs > 0) await sleep(Math.random() * thinkMs);
        while (performance.now() < until) {
          await record.ask(connection, request());
          if (thinkMs > 0) await sleep(thinkMs * (0.5 + Math.random()));
        }
      }),
    );
  } finally {
    for (const connection of connections) connection.close();
  }
  return record.measured();
}

/** Arrivals as of many people who know nothing of each other (Poisson), whether or not those before have been answered. */
export async function arrivals({ url, request, seconds, good }: Load, perSecond: number): Promise<Measured> {
  const free: Connection[] = [];
  const all: Connection[] = [];
  const record = recorder(good);
  const startedAt = performance.now();
  const under: Promise<void>[] = [];
  try {
    for (let due = 0; due < seconds * 1000; due += -Math.log(1 - Math.random()) * (1000 / perSecond)) {
      const wait = startedAt + due - performance.now();
      if (wait > 1) await sleep(wait);
      const connection = free.pop() ?? openConnection(url);
      if (!all.includes(connection)) all.push(connection);
      under.push(record.ask(connection, request(), startedAt + due).then(() => void free.push(connection)));
    }
    await Promise.all(under);
  } finally {
    for (const connection of all) connection.close();
  }
  return record.measured();
}

/** So many requests at the same moment, again and again with a pause between. */
export async function bursts({ url, request, seconds, good }: Load, size: number, pauseMs: number): Promise<Measured> {
  const connections = await opened(url, size);
  const record = recorder(good);
  const until = performance.now() + seconds * 1000;
  try {
    do {
      await Promise.all(connections.map((connection) => record.ask(connection, request())));
      await sleep(pauseMs);
    } while (performance.now() < until);
  } finally {
    for (const connection of connections) connection.close();
  }
  return record.measured();
}
