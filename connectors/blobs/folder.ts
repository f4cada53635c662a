/** Blobs as files of one folder, which several processes may share. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink, utimes } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { BlobStore } from '../ports.ts';
import { SaccadeError } from '../errors.ts';
import { safeName } from './names.ts';
import { surplus } from './surplus.ts';

export interface FolderBlobsOptions {
  readonly now?: () => number;
}

/** No blob's name begins with a dot, so what a killed process leaves half written is never mistaken for a blob. */
const unfinished = '.unfinished-';
/** After which it is taken for such, however long blobs are kept. */
const givenUpAfterMs = 24 * 3_600_000;

const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

export function folderBlobs(folder: string, { now = Date.now }: FolderBlobsOptions = {}): BlobStore {
  /** A claim check is only as good as the blob is durable, so the bytes and the name are on the disk when `put` resolves. */
  async function write(path: string, bytes: Buffer): Promise<void> {
    const parent = dirname(path);
    await mkdir(parent, { recursive: true });
    const temporary = join(parent, unfinished + randomUUID());
    try {
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(bytes);
        await file.utimes(now() / 1000, now() / 1000);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await syncFolder(parent);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** The same name stands for the same bytes: a second `put` only makes the blob young again. */
  async function refreshed(path: string, size: number): Promise<boolean> {
    try {
      if ((await stat(path)).size !== size) return false;
      await utimes(path, now() / 1000, now() / 1000);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async function files(): Promise<{ readonly path: string; readonly name: string; readonly whole: boolean }[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return { path, name: relative(folder, path).replaceAll(sep, '/'), whole: !name.startsWith(unfinished) };
    });
  }

  return {
    kind: 'folder',
    async put(name, bytes) {
      const path = join(folder, safeName(name));
      try {
        if (!(await refreshed(path, bytes.length))) await write(path, bytes);
      } catch (error) {
        throw unavailable(error);
      }
      return name;
    },
    async get(claim) {
      const path = join(folder, safeName(claim));
      try {
        return await readFile(path);
      } catch (error) {
        throw isMissing(error) && (await isFolder(folder)) ? new SaccadeError('blob_missing', claim, error) : unavailable(error);
      }
    },
    async expire(ageMs) {
      try {
        let count = 0;
        for (const { path, name, whole } of await files()) {
          const most = typeof ageMs === 'number' ? ageMs : ageMs(name);
          if (!(await removeIfOlder(path, now() - (whole ? most : Math.min(most, givenUpAfterMs))))) continue;
          if (whole) count += 1;
        }
        return count;
      } catch (error) {
        if (isMissing(error)) return 0;
        throw unavailable(error);
      }
    },
    async trim(maxBytes, holderOf = () => '') {
      try {
        const found = [];
        for (const { path, name, whole } of await files()) if (whole) found.push({ path, name, holder: holderOf(name), ...(await sizeAndAge(path)) });
        const gone = [];
        for (const { path, name } of surplus(found, maxBytes)) if (await removed(path)) gone.push(name);
        return gone;
      } catch (error) {
        if (isMissing(error)) return [];
        throw unavailable(error);
      }
    },
  };
}

/** Without it every blob is missing, and none of them by its own fault: a mount that is away must not cost good records. */
const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Nothing of a file that another process has removed meanwhile. */
const sizeAndAge = (path: string): Promise<{ readonly size: number; readonly at: number }> =>
  stat(path).then(
    ({ size, mtimeMs: at }) => ({ size, at }),
    (error: unknown) => {
      if (isMissing(error)) return { size: 0, at: 0 };
      throw error;
    },
  );

/** Whether it was there. */
const removed = (path: string): Promise<boolean> =>
  unlink(path).then(
    () => true,
    (error: unknown) => {
      if (isMissing(error)) return false;
      throw error;
    },
  );

/** Another process may expire the same files at the same time: one of the two removes each. */
async function removeIfOlder(path: string, before: number): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < before && (await removed(path));
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Makes the new name itself durable. Some file systems do not let a folder be opened for this; they keep names by themselves. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

const unavailable = (error: unknown): SaccadeError =>
  new SaccadeError('blobs_unavailable', (error as NodeJS.ErrnoException).code ?? String(error), error);
