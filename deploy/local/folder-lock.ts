/** One owner for a data folder: two brokers on the same files would destroy them. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SaccadeError } from '../../connectors/errors.ts';
import { identify, isAlive, type ProcessId } from './process-birth.ts';

/** Takes the folder and answers how to give it back. Throws invalid_config naming the process that has it. */
export function lockFolder(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, 'owner.lock');
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(identify(process.pid)));
  try {
    for (let tries = 0; tries < 10; tries += 1) {
      try {
        // A link appears with its content, or not at all when another process was first.
        linkSync(mine, file);
        return () => rmSync(file, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = read(file);
      if (owner && isAlive(owner)) {
        throw new SaccadeError('invalid_config', `Process ${owner.pid} already runs on ${dataDir}: stop it, or set SACCADE_DATA to another folder.`);
      }
      setAside(file, mine);
    }
    throw new SaccadeError('invalid_config', `The lock ${file} could not be taken: others are starting on this folder at the same time.`);
  } finally {
    rmSync(mine, { force: true });
  }
}

function read(file: string): ProcessId | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessId;
  } catch {
    return null;
  }
}

/** Removes a void lock, unless another process has just taken it: of two that rename, one finds nothing, so none removes a live one unseen. */
function setAside(file: string, mine: string): void {
  const aside = `${mine}.void`;
  try {
    renameSync(file, aside);
    const owner = read(aside);
    if (owner && isAlive(owner)) linkSync(aside, file);
  } catch {
    // another process was quicker: the next try sees what it left
  }
  rmSync(aside, { force: true });
}
