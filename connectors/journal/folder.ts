/** The journal of work as a folder: one small file for each process, which its death leaves behind. Shared by the processes of one machine. */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Death, InWork, WorkJournal } from '../ports.ts';

export interface FolderJournalOptions<Self> {
  readonly folder: string;
  /** This process, told from a later one with the same pid. */
  readonly self: Self & { readonly pid: number };
  isAlive(process: Self): boolean;
  readonly log: { warn(fields: object, message: string): void };
}

interface Page<Self> {
  readonly process: Self;
  readonly alone: boolean;
  readonly records: readonly InWork[];
}

const suffix = '.work';
/** Written once, so that a disk that fills up later does not take the protection away when it may be needed. */
const reservedBytes = 16 * 1024;
/** A death nobody cleared by then belongs to records that went elsewhere, or to the dead letters. */
const oldestMs = 24 * 3_600_000;

/**
 * Not synced to the disk: what is written lies in the page cache, which outlives the process, and a machine that lost its
 * power tells nothing about a record.
 */
export function folderJournal<Self>({ folder, self, isAlive, log }: FolderJournalOptions<Self>): WorkJournal {
  mkdirSync(folder, { recursive: true });
  const own = `${self.pid}${suffix}`;
  const owner = JSON.stringify(self);
  setAsideNamesake();
  const file = openSync(join(folder, own), 'w');
  let faulty = false;
  let closed = false;
  guarded(() => writeSync(file, Buffer.alloc(reservedBytes, ' '), 0, reservedBytes, 0));
  write([], false);

  function guarded(action: () => void): void {
    try {
      action();
      faulty = false;
    } catch (error) {
      if (!faulty) log.warn({ error: String(error), folder }, 'the journal cannot be written: a record that kills this process would not be found');
      faulty = true;
    }
  }

  /** An earlier process with our pid died here: its page is evidence, ours must not take its place. */
  function setAsideNamesake(): void {
    for (let n = 1; ; n += 1) {
      try {
        statSync(join(folder, own));
        const aside = join(folder, `${self.pid}-${n}${suffix}`);
        if (statSync(aside, { throwIfNoEntry: false })) continue;
        renameSync(join(folder, own), aside);
      } catch {
        // None left: its death was cleared, or there was none.
      }
      return;
    }
  }

  function write(records: readonly InWork[], alone: boolean): void {
    if (closed) return;
    // In one write, and the line's end says where what is valid ends: the rest of the file is of earlier, longer lines.
    const line = `{"process":${owner},"alone":${alone},"records":[${records.map(textOf).join()}]}\n`;
    guarded(() => void writeSync(file, line, 0));
  }

  function pagesOfTheDead(): { name: string; page: Page<Self> }[] {
    const names = readdirSync(folder).filter((name) => name.endsWith(suffix) && name !== own);
    return names.flatMap((name) => {
      const page = read(name);
      if (page && isAlive(page.process)) return [];
      if (page && page.records.length > 0 && !isOld(name)) return [{ name, page }];
      // Killed while idle, or before its first line was whole: nothing can be learnt from it.
      if (page || isOld(name)) rmSync(join(folder, name), { force: true });
      return [];
    });
  }

  function read(name: string): Page<Self> | null {
    try {
      const text = readFileSync(join(folder, name), 'utf8');
      return JSON.parse(text.slice(0, text.indexOf('\n'))) as Page<Self>;
    } catch {
      return null;
    }
  }

  const isOld = (name: string): boolean => {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.mtimeMs > oldestMs;
  };

  return {
    write,
    deaths() {
      let deaths: Death[] = [];
      guarded(() => (deaths = pagesOfTheDead().map(({ page: { alone, records } }) => ({ alone, records }))));
      return deaths;
    },
    clear(record) {
      guarded(() => {
        for (const { name, page } of pagesOfTheDead()) {
          const records = page.records.filter((other) => !isSame(other, record));
          if (records.length === page.records.length) continue;
          if (records.length === 0) rmSync(join(folder, name), { force: true });
          else replace(name, { ...page, records });
        }
      });
    },
    close() {
      if (closed) return;
      closed = true;
      guarded(() => {
        closeSync(file);
        rmSync(join(folder, own), { force: true });
      });
    },
  };

  /** In one step: another process may be reading it. */
  function replace(name: string, page: Page<Self>): void {
    const fresh = join(folder, `${name}.${self.pid}`);
    writeFileSync(fresh, `${JSON.stringify(page)}\n`);
    renameSync(fresh, join(folder, name));
  }
}

/** A record stands in many lines, with those that come and go beside it. */
const texts = new WeakMap<InWork, string>();
function textOf(record: InWork): string {
  let text = texts.get(record);
  if (text === undefined) texts.set(record, (text = JSON.stringify(record)));
  return text;
}

const isSame = (a: InWork, b: InWork): boolean =>
  a.stage === b.stage && a.topic === b.topic && a.partition === b.partition && a.offset === b.offset && a.timestamp === b.timestamp;
