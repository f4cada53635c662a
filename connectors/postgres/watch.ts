/** LISTEN on a connection of its own, made again whenever it is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Database } from './database.ts';

const retryMs = 1_000;

/**
 * Tells each payload of the channel; null whenever some may have been missed: when the connection is lost, and once it is
 * back. Resolves when the first attempt to connect is over.
 */
export async function watchChannel(database: Database, channel: string, told: (payload: string | null) => void): Promise<{ readonly connected: () => boolean; close(): Promise<void> }> {
  const stopping = new AbortController();
  let client: pg.Client | null = null;

  async function connect(): Promise<void> {
    const next = database.connection();
    // Also before it is connected: an error without a listener ends the process.
    next.on('error', () => lost(next));
    next.on('end', () => lost(next));
    next.on('notification', ({ channel: on, payload }) => on === channel && told(payload ?? ''));
    try {
      await next.connect();
      await next.query(`LISTEN ${channel}`);
    } catch (error) {
      await next.end().catch(() => {});
      throw error;
    }
    client = next;
    told(null);
    // It may have ended while nobody knew it yet.
    if (stopping.signal.aborted) await next.end().catch(() => {});
  }

  function lost(which: pg.Client): void {
    if (client !== which) return;
    client = null;
    told(null);
    void again();
  }

  async function again(): Promise<void> {
    while (!stopping.signal.aborted && client === null) {
      await sleep(retryMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
      if (!stopping.signal.aborted) await connect().catch(() => {});
    }
  }

  await connect().catch(() => void again());
  return {
    connected: () => client !== null,
    async close() {
      stopping.abort();
      const last = client;
      client = null;
      await last?.end().catch(() => {});
    },
  };
}
