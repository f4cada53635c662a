/** A real ClickHouse of a test file's own: chdb in its process, the tables in place. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { startChdb, type Chdb } from '../../connectors/chdb/start.ts';
import { clickhouseStore } from '../../connectors/clickhouse/store.ts';
import type { Store } from '../../connectors/ports.ts';

/** To be called inside a describe: starts before its tests, `ready` is given the store, and all of it goes after them. */
export function embeddedStore(name: string, ready: (store: Store, url: string) => void): void {
  let dataDir: string;
  let chdb: Chdb | undefined;
  let store: Store | undefined;
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), `saccade-${name}-`));
    chdb = await startChdb({ dataDir });
    store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
    await store.migrate();
    ready(store, chdb.url);
  });
  after(async () => {
    await store?.close();
    await chdb?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
}
