/** The folder of claim-checked images, which can be away (a plain file in its place) and, on a disk of its own, full. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ObjectStore {
  readonly folder: string;
  /** Why the disk cannot be filled on this machine; null when it can. */
  readonly unfillable: string | null;
  leave(): void;
  comeBack(): void;
  /** Writes until the disk refuses. */
  fill(): void;
  empty(): void;
  close(): void;
}

const piece = Buffer.alloc(1024 * 1024);

/** In CI somebody who is not root may become it without being asked; of a person's machine that is not assumed. */
const become = process.env.CI === 'true' && process.getuid?.() !== 0 ? ['sudo', '-n'] : [];
const asRoot = (...command: readonly string[]) => {
  const [program, ...args] = [...become, ...command];
  return spawnSync(program!, args, { encoding: 'utf8' });
};

/** `disk` becomes the mount point of a tmpfs of `megabytes`; where mounting is not allowed it is an ordinary folder. */
export function objectStore(disk: string, megabytes: number): ObjectStore {
  mkdirSync(disk, { recursive: true });
  const mounted = asRoot('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=1777`, 'tmpfs', disk);
  const unfillable = mounted.status === 0 ? null : `mounting a tmpfs is not allowed here (${(mounted.stderr ?? String(mounted.error)).trim()})`;
  const folder = join(disk, 'blobs');
  const elsewhere = join(disk, 'blobs.away');
  const filler = join(disk, 'filler');
  let away = false;
  mkdirSync(folder);

  return {
    folder,
    unfillable,
    leave() {
      renameSync(folder, elsewhere);
      away = true;
      // Not just absent, or whoever writes would make a new one. A plain file stops root too, which no mode of a folder does.
      writeFileSync(folder, '');
    },
    comeBack() {
      if (!away) return;
      rmSync(folder);
      renameSync(elsewhere, folder);
      away = false;
    },
    fill() {
      if (unfillable !== null) return;
      for (;;) {
        try {
          appendFileSync(filler, piece);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return;
          throw error;
        }
      }
    },
    empty: () => rmSync(filler, { force: true }),
    close() {
      if (unfillable === null) asRoot('umount', '-l', disk);
    },
  };
}
