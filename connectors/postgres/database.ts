/** PostgreSQL through a small pool: no error of pg's leaves it but those that say what a constraint refused. */
import pg from 'pg';
import { SaccadeError } from '../errors.ts';

export type Row = Record<string, unknown>;
export type Query = <T = Row>(text: string, values?: readonly unknown[]) => Promise<T[]>;

export interface Database {
  readonly query: Query;
  /** All or nothing. `work` must ask nothing but through what it is given: an embedded engine lets nobody else in meanwhile. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** A connection of its own, for LISTEN. */
  connection(): pg.Client;
  close(): Promise<void>;
}

const connectTimeoutMs = 3_000;
/** Everything asked here is small; what takes longer is a server that hangs. */
const queryTimeoutMs = 10_000;
const connections = 4;

/** What a constraint refused, for the caller to put in words. */
export const violation = (error: unknown): 'unique' | 'foreign key' | null => {
  const { code } = error as { code?: string };
  return code === '23505' ? 'unique' : code === '23503' ? 'foreign key' : null;
};

/** The host and the database, and never the login. */
export function shownUrl(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `postgres://${hostname}${port ? `:${port}` : ''}${pathname}`;
}

/**
 * Of what PostgreSQL itself answers, only these classes are its being away, full or busy (postgresql.org/docs/current/errcodes-appendix.html);
 * the others are faults of the statement. What has no such code is the connection's.
 */
const isAbsence = (error: unknown): boolean => {
  const { code } = error as { code?: string };
  return typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || /^(08|28|3D|40|53|55|57|58|XX)/.test(code);
};

function unavailable(error: unknown, url: string): unknown {
  if (error instanceof SaccadeError || !isAbsence(error)) return error;
  return new SaccadeError('metadata_unavailable', `${shownUrl(url)}: ${error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error)}.`, error);
}

export function openDatabase(url: string): Database {
  const options: pg.ClientConfig = { connectionString: url, application_name: 'saccade', connectionTimeoutMillis: connectTimeoutMs, keepAlive: true };
  const pool = new pg.Pool({ ...options, max: connections, idleTimeoutMillis: 30_000, query_timeout: queryTimeoutMs });
  // Of a connection that nobody uses: without a listener it would end the process, and the next query opens another.
  pool.on('error', () => {});

  const queryOf = (client: pg.Pool | pg.PoolClient): Query => async <T>(text: string, values: readonly unknown[] = []) => {
    try {
      return (await client.query(text, [...values])).rows as T[];
    } catch (error) {
      throw unavailable(error, url);
    }
  };

  return {
    query: queryOf(pool),
    async transaction(work) {
      const client = await pool.connect().catch((error: unknown) => {
        throw unavailable(error, url);
      });
      let broken: Error | undefined;
      try {
        await client.query('BEGIN');
        const answer = await work(queryOf(client));
        await client.query('COMMIT');
        return answer;
      } catch (error) {
        // A connection that cannot even roll back is not given to anybody else.
        await client.query('ROLLBACK').catch((fault: Error) => (broken = fault));
        throw unavailable(error, url);
      } finally {
        client.release(broken);
      }
    },
    connection: () => new pg.Client(options),
    close: () => pool.end(),
  };
}
