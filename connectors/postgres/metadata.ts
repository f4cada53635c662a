/** The metadata on one database, its tables in place. */
import type { Metadata } from '../metadata-port.ts';
import { accessStore } from './access.ts';
import { auditStore } from './audit.ts';
import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { sealer } from './sealing.ts';

/** postgres://user:password@host:port/database; keys of 32 bytes that secrets are sealed with, the newest first. Throws metadata_unavailable, invalid_config. */
export async function openMetadata(url: string, keys: readonly Buffer[] = []): Promise<Metadata> {
  const database = openDatabase(url);
  try {
    await migrate(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return { access: accessStore(database, sealer(keys)), audit: auditStore(database), close: () => database.close() };
}
