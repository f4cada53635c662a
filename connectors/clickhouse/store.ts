/** The Store port over ClickHouse's HTTP protocol: a server, or the embedded engine that connectors/chdb serves. */
import { Readable } from 'node:stream';
import { setImmediate as immediate } from 'node:timers/promises';
import { text as textFrom } from 'node:stream/consumers';
import { ClickHouseLogLevel, createClient, type ClickHouseClient, type ClickHouseSettings } from '@clickhouse/client';
import { SaccadeError } from '../errors.ts';
import type { Store } from '../ports.ts';
import { isDefinition, onCluster } from './cluster.ts';
import { insertFailure, queryFailure, unreachable } from './failures.ts';
import { migrate } from './migrate.ts';
import { rowBinary, rowBinaryFormat } from './row-binary.ts';

export interface ClickHouseOptions {
  /** `http://host:8123`, or https. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** Created by `migrate` if it is not there. */
  readonly database?: string;
  readonly kind?: Store['kind'];
  /** Of a server: tables are replicated and distributed over this cluster of it. */
  readonly cluster?: string | undefined;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs?: number;
  /** Certificate authority, in PEM; with `cert` and `key` the client shows a certificate of its own. */
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
}

/** The same answers from every version and from the embedded engine, whatever its own defaults are. */
const settings: ClickHouseSettings = {
  output_format_json_quote_64bit_integers: 0,
  output_format_json_quote_denormals: 1,
  // Without it an error in mid-answer comes after a 200.
  wait_end_of_query: 1,
};

/** A step may copy every row there is. */
const migrationMs = 12 * 3_600_000;

/** Encoded without a pause: others work on this thread too. */
const rowsAtATime = 500;

/** Times as JavaScript reads them. Not in `text`, which a person reads. */
const querySettings: ClickHouseSettings = { date_time_output_format: 'iso' };

const insertSettings: ClickHouseSettings = {
  // An insert is answered when its own rows are in a part, and mixed with no one else's: that is what makes it atomic.
  async_insert: 0,
  max_insert_threads: '1',
  // A null where none is allowed is an error to be seen, not a zero to be stored.
  input_format_null_as_default: 0,
  input_format_skip_unknown_fields: 0,
  // Rows come in the order of the log, and those of one insert may be of as many weeks as clocks say.
  max_partitions_per_insert_block: '0',
};

/** A Store at `url`. Nothing is contacted before the first call. Throws invalid_config for a database name it can't use. */
export function clickhouseStore(options: ClickHouseOptions): Store {
  const { url, database = 'saccade', kind = 'clickhouse', cluster = null } = options;
  if (!/^[A-Za-z_]\w*$/.test(database))
    throw new SaccadeError('invalid_config', `the ClickHouse database must be named with letters, digits and _, not ${JSON.stringify(database)}`);
  // On a cluster an insert is answered when its rows are on their shard.
  const inserting: ClickHouseSettings = cluster === null ? insertSettings : { ...insertSettings, distributed_foreground_insert: 1 };
  const client = connect(options, database);
  const admin = connect(options, 'default');

  return {
    kind,

    async migrate() {
      const patient = connect({ ...options, timeoutMs: migrationMs }, database);
      try {
        await migrate(patient, admin, database, { cluster });
      } catch (error) {
        throw error instanceof SaccadeError ? error : queryFailure(error);
      } finally {
        await patient.close();
      }
    },

    async insert(table, rows) {
      if (rows.length === 0) return;
      try {
        await client.insert({
          table,
          columns: columnsOf(rows),
          values: rows,
          format: 'JSONEachRow',
          clickhouse_settings: inserting,
        });
      } catch (error) {
        throw insertFailure(error);
      }
    },

    inserter(table, columns) {
      const { header, encode } = rowBinary(columns);
      const names = columns.map(({ name }) => `\`${name}\``).join(', ');
      const query = `INSERT INTO ${table} (${names}) FORMAT ${rowBinaryFormat}`;
      return async (rows) => {
        if (rows.length === 0) return;
        // Outside of the try: what it throws is the row's fault, by name.
        const body = [header];
        for (let from = 0; from < rows.length; from += rowsAtATime) {
          if (from > 0) await immediate();
          body.push(encode(rows.slice(from, from + rowsAtATime)));
        }
        try {
          const answer = await client.exec({ query, values: Readable.from(body), clickhouse_settings: inserting });
          await textFrom(answer.stream);
        } catch (error) {
          throw insertFailure(error);
        }
      };
    },

    async query<T>(sql: string, params?: Readonly<Record<string, unknown>>) {
      try {
        const answer = await client.query({
          query: sql,
          format: 'JSONEachRow',
          clickhouse_settings: querySettings,
          ...(params && { query_params: { ...params } }),
        });
        return rowsOf<T>(await answer.text());
      } catch (error) {
        throw queryFailure(error);
      }
    },

    async command(sql, params) {
      try {
        const forms = cluster !== null && isDefinition(sql) ? onCluster(sql, { name: cluster, database }) : [sql];
        for (const query of forms) await client.command({ query, ...(params && { query_params: { ...params } }) });
      } catch (error) {
        throw queryFailure(error);
      }
    },

    async text(sql, format, params) {
      try {
        // As the default format, so that a FORMAT clause in the question still wins.
        const answer = await client.exec({ query: sql, clickhouse_settings: { default_format: format } as ClickHouseSettings, ...(params && { query_params: { ...params } }) });
        return await textFrom(answer.stream);
      } catch (error) {
        throw queryFailure(error);
      }
    },

    async ping() {
      const answer = await client.ping();
      if (!answer.success) throw unreachable(answer.error);
    },

    async close() {
      await Promise.all([client.close(), admin.close()]);
    },
  };

  function connect(of: ClickHouseOptions, to: string): ClickHouseClient {
    return createClient({
      url,
      database: to,
      username: of.username ?? 'default',
      password: of.password ?? '',
      request_timeout: of.timeoutMs ?? 30_000,
      application: 'saccade',
      clickhouse_settings: settings,
      // Errors are thrown and logged by whoever catches them; the client would print them a second time.
      log: { level: ClickHouseLogLevel.OFF },
      ...(of.tls && { tls: tlsOf(of.tls) }),
    });
  }
}

/** All at once: row by row through the client's stream, a page of fifty takes milliseconds more. Within a row no line breaks. */
const rowsOf = <T>(lines: string): T[] => JSON.parse(`[${lines.trimEnd().replaceAll('\n', ',')}]`) as T[];

/** Named in the insert, so that a key which is no column is an error, and an ephemeral column (only insertable) can be given. */
function columnsOf(rows: readonly Readonly<Record<string, unknown>>[]): [string, ...string[]] {
  const columns = new Set<string>();
  for (const row of rows) for (const key in row) columns.add(key);
  return [...columns] as [string, ...string[]];
}

function tlsOf({ ca, cert, key }: NonNullable<ClickHouseOptions['tls']>) {
  return cert && key ? { ca_cert: ca, cert, key } : { ca_cert: ca };
}
