/** Files of rows on their way into the engine: what it takes in binary it reads from a file only. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface IncomingFiles {
  /** Lends a file that holds `bytes` to `work`, and deletes it afterwards. */
  with<T>(bytes: Buffer, work: (path: string) => Promise<T>): Promise<T>;
}

/** `folder` is emptied: what lies there was left by a process that was killed, and its sender was never answered. */
export async function incomingFiles(folder: string): Promise<IncomingFiles> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let count = 0;
  return {
    async with(bytes, work) {
      const path = join(folder, `${++count}`);
      try {
        await writeFile(path, bytes);
        return await work(path.replaceAll('\\', '\\\\').replaceAll("'", "\\'"));
      } finally {
        await rm(path, { force: true });
      }
    },
  };
}
