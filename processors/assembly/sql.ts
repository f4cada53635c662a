/** SQL for people: the route on the edge, and ClickHouse's own HTTP interface on a port of its own. */
import { SaccadeError } from '../../connectors/errors.ts';
import { openReader, openStore } from '../connect.ts';
import { connectionLimits, type HttpServer } from '../edge/server.ts';
import { sqlRoutes } from '../edge/sql-routes.ts';
import { type Ask, asking } from '../sql/ask.ts';
import { sqlLimits } from '../sql/config.ts';
import { roleOf } from '../sql/grants.ts';
import { tenantViews } from '../sql/views.ts';
import type { Access } from './access.ts';
import type { Foundation } from './foundation.ts';
import { sqlDoor } from './sql-door.ts';

/** Adds the route; `listen` opens the port, where one is set. Nothing where this process has no edge. */
export function openSql(base: Foundation, server: HttpServer, access: Access): { listen(): Promise<void> } {
  const { settings: s, wants } = base;
  if (!wants('edge')) return { listen: async () => {} };
  const ask = openAsk(base);
  sqlRoutes(server.app, { ask });
  return {
    async listen() {
      if (s.SACCADE_SQL_PORT === undefined) return;
      if (!ask) throw new SaccadeError('invalid_config', 'SACCADE_SQL_PORT is set, but this process has no store: set CLICKHOUSE_URL.');
      await openDoor(base, ask, access, s.SACCADE_SQL_PORT);
    },
  };
}

/** Null where there is no store: an edge beside a Kafka of one's own may have none. */
function openAsk({ settings: s, stack, ending }: Foundation): Ask | null {
  if (!stack.clickhouse) return null;
  const [reader, store] = [openReader(stack, s), openStore(stack, s)];
  ending.add('people\'s SQL', async () => void (await Promise.all([reader.close(), store.close()])));
  return asking({
    reader,
    views: tenantViews(store, s.CLICKHOUSE_DATABASE),
    shown: s.CLICKHOUSE_DATABASE,
    limits: sqlLimits.parse({ seconds: s.SACCADE_SQL_SECONDS, memoryBytes: s.SACCADE_SQL_MEMORY_MB * 1024 * 1024, rows: s.SACCADE_SQL_ROWS, resultBytes: s.SACCADE_SQL_RESULT_MB * 1024 * 1024, atOnce: s.SACCADE_SQL_AT_ONCE }),
    roleOf: s.CLICKHOUSE_SQL_USER === undefined ? undefined : (tenant) => roleOf(s.CLICKHOUSE_DATABASE, tenant),
  });
}

async function openDoor({ settings: s, ending, say, logger }: Foundation, ask: Ask, { authenticate, guard, tls }: Access, port: number): Promise<void> {
  const limits = { ...connectionLimits, most: s.SACCADE_MAX_CONNECTIONS };
  const app = sqlDoor({ ask, shown: s.CLICKHOUSE_DATABASE, authenticate, guard, tls, limits, open: s.SACCADE_AUTH === 'open', origins: s.SACCADE_CORS, logger: logger.child({ stage: 'edge' }) });
  ending.add('SQL port', () => app.close());
  try {
    say(`sql         ${await app.listen({ host: s.HOST, port })} (ClickHouse's HTTP interface, read-only)`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new SaccadeError('invalid_config', `SACCADE_SQL_PORT ${port} on ${s.HOST} is taken; set it to another, or 0 for any free one.`, error);
  }
}
