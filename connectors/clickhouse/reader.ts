/** The reader of people's SQL over ClickHouse's HTTP protocol: connections of its own, and a limit on how long they wait. */
import { ClickHouseLogLevel, createClient, type ClickHouseClient, type ClickHouseSettings } from '@clickhouse/client';
import type { StoreReader } from '../ports.ts';
import { queryFailure } from './failures.ts';
import type { ClickHouseOptions } from './store.ts';

/** A client belongs to a database; those used last are kept. */
const clientsKept = 32;

/** A reader at `url`. Nothing is contacted before the first read. */
export function clickhouseReader(options: Omit<ClickHouseOptions, 'database' | 'kind'>): StoreReader {
  const clients = new Map<string, ClickHouseClient>();
  return {
    async read(sql, { database, format, settings, params, queryId, role, signal }) {
      try {
        const answer = await clientOf(database).exec({
          query: sql,
          // As the default format: a FORMAT clause is the caller's to take off.
          clickhouse_settings: { ...settings, default_format: format } as ClickHouseSettings,
          ...(params && { query_params: { ...params } }),
          ...(queryId !== undefined && { query_id: queryId }),
          ...(role !== undefined && { role }),
          ...(signal && { abort_signal: signal }),
        });
        return { stream: answer.stream, summary: answer.summary ? JSON.stringify(answer.summary) : null };
      } catch (error) {
        throw queryFailure(error);
      }
    },

    async close() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };

  function clientOf(database: string): ClickHouseClient {
    const client = clients.get(database) ?? connect(database);
    clients.delete(database);
    clients.set(database, client);
    if (clients.size > clientsKept) {
      const [oldest, unused] = clients.entries().next().value!;
      clients.delete(oldest);
      void unused.close();
    }
    return client;
  }

  function connect(database: string): ClickHouseClient {
    return createClient({
      url: options.url,
      database,
      username: options.username ?? 'default',
      password: options.password ?? '',
      request_timeout: options.timeoutMs ?? 30_000,
      application: 'saccade-sql',
      log: { level: ClickHouseLogLevel.OFF },
    });
  }
}
