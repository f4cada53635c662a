import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { storeContract } from './contracts/store.ts';

const nowhere = 'http://127.0.0.1:9';

storeContract('chdb, over HTTP', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'saccade-store-'));
  const chdb = await startChdb({ dataDir });
  return {
    open: () => clickhouseStore({ url: chdb.url, kind: 'chdb' }),
    unreachable: () => clickhouseStore({ url: nowhere }),
    async close() {
      await chdb.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
});

const { SACCADE_TEST_CLICKHOUSE: url, SACCADE_TEST_CLICKHOUSE_USER: username, SACCADE_TEST_CLICKHOUSE_PASSWORD: password } = process.env;
if (url !== undefined) {
  storeContract('a ClickHouse server', async () => {
    const server = { url, ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
    const database = `saccade_test_${randomUUID().slice(0, 8)}`;
    return {
      open: () => clickhouseStore({ ...server, database }),
      unreachable: () => clickhouseStore({ url: nowhere }),
      async close() {
        const admin = clickhouseStore({ ...server, database: 'default' });
        await admin.query(`DROP DATABASE ${database}`).catch(() => {});
        await admin.close();
      },
    };
  });
}
