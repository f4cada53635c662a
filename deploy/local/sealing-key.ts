/** The key of the embedded database's secrets: made once, beside the database, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What the file holds, in base64; made where there is none. Of two processes that make it at once both find the same. */
export function localSealingKey(path: string): string {
  const mine = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(mine, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  try {
    // Whole or not at all, and never over one that is there: what it has sealed would be lost.
    linkSync(mine, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(mine, { force: true });
  }
  return readFileSync(path, 'utf8').trim();
}
