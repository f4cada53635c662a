/** Brings a database up to the schema of this version: the files of schemas/postgres, forward only. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { SaccadeError } from '../errors.ts';
import type { Database } from './database.ts';

const folder = new URL('../../schemas/postgres/', import.meta.url);
/** Any number, as long as all versions of Saccade take the same. */
const lock = 7_220_631;

/**
 * Applies what is missing, each file in a transaction of its own, under a lock that processes starting at once wait for. Steps
 * of a newer version are left in peace. Throws invalid_config if a step that was applied has been edited since.
 */
export async function migrate(database: Database, from: URL = folder): Promise<void> {
  for (const { version, name, text } of stepsIn(from)) await apply(database, version, name, text);
}

function stepsIn(from: URL): { version: number; name: string; text: string }[] {
  const files = readdirSync(from).filter((file) => file.endsWith('.sql')).sort();
  return files.map((file) => {
    const match = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file);
    if (!match) throw new SaccadeError('invalid_config', `${file} is not named like 0001_what.sql`);
    return { version: Number(match[1]), name: match[2]!, text: readFileSync(new URL(file, from), 'utf8') };
  });
}

async function apply(database: Database, version: number, name: string, text: string): Promise<void> {
  const checksum = createHash('sha256').update(text).digest('hex');
  await database.transaction(async (query) => {
    await query('SELECT pg_advisory_xact_lock($1)', [lock]);
    await query('CREATE TABLE IF NOT EXISTS migrations (version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())');
    const [applied] = await query<{ checksum: string }>('SELECT checksum FROM migrations WHERE version = $1', [version]);
    if (applied?.checksum === checksum) return;
    if (applied) throw new SaccadeError('invalid_config', `migration ${version} (${name}) was edited after it was applied; add a new one instead`);
    await query(text);
    await query('INSERT INTO migrations (version, name, checksum) VALUES ($1, $2, $3)', [version, name, checksum]);
  });
}
