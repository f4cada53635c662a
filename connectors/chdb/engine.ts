/** The embedded ClickHouse: one per process and folder, answering as many questions at once as it has lanes for. */
import { randomUUID } from 'node:crypto';
import { type ChdbResult, drainPending, type Session } from 'chdb';
import { join } from 'node:path';
import { Exception } from './exception.ts';
import { incomingFiles } from './incoming.ts';
import { lane, LaneFull } from './lane.ts';
import { sessions, type SetUp } from './sessions.ts';
import type { Statement } from './statement.ts';

export interface Answer {
  readonly bytes: Uint8Array;
  readonly seconds: number;
  readonly rowsRead: number;
  readonly bytesRead: number;
  readonly rowsWritten: number;
  readonly bytesWritten: number;
}

export interface Engine {
  readonly version: string;
  /** Throws Exception, or what the engine throws. A question that nobody waits for any more is not run, or ended if it only reads. */
  run(statement: Statement, setUp: SetUp, format: string, unwanted: AbortSignal): Promise<Answer>;
  /** Resolves when what runs has ended and the folder is free. */
  close(): Promise<void>;
}

/** People's own questions come read-only, and are to leave room for the pipeline's. */
const atOnce = { reads: 3, writes: 2, people: 3 };
const mayWait = 200;
const noSetUp: SetUp = { database: null, settings: [], params: [], readOnly: false };

export async function openEngine(dataDir: string): Promise<Engine> {
  const pool = sessions(dataDir);
  const incoming = await incomingFiles(join(dataDir, 'incoming'));
  const reads = lane(atOnce.reads, mayWait);
  const writes = lane(atOnce.writes, mayWait);
  const people = lane(atOnce.people, mayWait);
  const version = await pool.with(noSetUp, false, async (session) =>
    (await session.queryAsync('SELECT version()', { format: 'TabSeparated' })).text().trim(),
  );
  return {
    version,
    async run(statement, setUp, format, unwanted) {
      const of = statement.kind !== 'sql' || statement.writes ? writes : setUp.settings.some(([name]) => name === 'readonly') ? people : reads;
      try {
        return await of.run(async () => {
          if (unwanted.aborted) throw new Exception(394, 'QUERY_WAS_CANCELLED', 'The client went away before its turn came.', 500);
          return await answer(statement, setUp, format, unwanted);
        });
      } catch (error) {
        if (error instanceof LaneFull)
          throw new Exception(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', `More than ${mayWait} queries wait already.`);
        throw error;
      }
    },
    async close() {
      pool.close();
      await drainPending();
    },
  };

  function answer(statement: Statement, setUp: SetUp, format: string, unwanted: AbortSignal): Promise<Answer> {
    if (statement.kind === 'rows') {
      return pool.with(setUp, false, async (session) => {
        const { table, columns, rows } = statement;
        const summary = await session.insert({ table, values: rows, format: statement.format, ...(columns && { columns }) });
        return {
          bytes: new Uint8Array(0),
          seconds: summary.elapsed,
          rowsRead: 0,
          bytesRead: 0,
          rowsWritten: summary.rowsWritten,
          bytesWritten: summary.bytesWritten,
        };
      });
    }
    if (statement.kind === 'file') {
      const { table, columns, rows } = statement;
      const names = columns.map((name) => `\`${name}\``).join(', ');
      return incoming.with(rows, (path) =>
        pool.with(setUp, false, async (session) => {
          const result = await session.queryAsync(`INSERT INTO ${table} (${names}) SELECT ${names} FROM file('${path}', ${statement.format})`);
          return { bytes: new Uint8Array(0), seconds: result.elapsed, rowsRead: 0, bytesRead: 0, rowsWritten: result.rowsRead, bytesWritten: rows.length };
        }),
      );
    }
    return pool.with(setUp, statement.leavesTraces, async (session) => {
      const result = statement.writes ? await session.queryAsync(statement.sql, { format }) : await endable(session, statement.sql, format, unwanted);
      return {
        bytes: result.bytes(),
        seconds: result.elapsed,
        rowsRead: result.rowsRead,
        bytesRead: result.bytesRead,
        rowsWritten: 0,
        bytesWritten: 0,
      };
    });
  }

  /** The binding cannot interrupt a query; the engine can, by what stands in front of it. */
  async function endable(session: Session, sql: string, format: string, unwanted: AbortSignal): Promise<ChdbResult> {
    const mark = `/*${randomUUID()}*/`;
    const end = (): void =>
      void pool.with(noSetUp, false, (other) => other.queryAsync(`KILL QUERY WHERE startsWith(query, '${mark}') ASYNC`)).catch(() => {});
    unwanted.addEventListener('abort', end, { once: true });
    try {
      return await session.queryAsync(`${mark}${sql}`, { format });
    } finally {
      unwanted.removeEventListener('abort', end);
    }
  }
}
