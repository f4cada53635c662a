/** run.json in the data folder: what runs and where, for the other processes of this machine and for a person. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { birthOf, isAlive } from './process-birth.ts';
import type { Stack } from './stack.ts';

export interface RunFile {
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly edge: { readonly url: string } | null;
  /** Where health and metrics are served, when not by the edge. */
  readonly ops?: { readonly url: string } | null;
  readonly kafka: Stack['kafka'];
  readonly registry: Stack['registry'];
  /** Without the password: that of the embedded one is empty, that of another is in the environment of whoever may know it. */
  readonly clickhouse: Omit<NonNullable<Stack['clickhouse']>, 'password'> | null;
  readonly children: Stack['children'];
  /** Neighbours that run as one step there, as of SACCADE_FUSE. */
  readonly fused?: readonly string[];
}

/** Tells this process from a later one with the same pid. */
type Written = RunFile & { readonly birth: string | null };

const fileOf = (dataDir: string): string => join(dataDir, 'run.json');

/** Replaces the file in one step: a reader never sees half of it. Readable by its owner only: it tells where everything listens. */
export function writeRunFile(dataDir: string, run: RunFile): void {
  mkdirSync(dataDir, { recursive: true });
  const fresh = `${fileOf(dataDir)}.${process.pid}`;
  // Written out, so that what a caller's object holds beside it stays out.
  const clickhouse = run.clickhouse && { kind: run.clickhouse.kind, url: run.clickhouse.url, username: run.clickhouse.username };
  const written: Written = { ...run, clickhouse, birth: birthOf(run.pid) };
  writeFileSync(fresh, `${JSON.stringify(written, null, 2)}\n`, { mode: 0o600 });
  renameSync(fresh, fileOf(dataDir));
}

/** What runs on this data folder; null when nothing does, also when a file was left by a process that was killed. */
export function readRunFile(dataDir: string): RunFile | null {
  const written = read(dataDir);
  return written && isAlive(written) ? written : null;
}

/** Removes the file if this process wrote it. */
export function removeRunFile(dataDir: string): void {
  if (read(dataDir)?.pid === process.pid) rmSync(fileOf(dataDir), { force: true });
}

function read(dataDir: string): Written | null {
  try {
    const written = JSON.parse(readFileSync(fileOf(dataDir), 'utf8')) as Written;
    return Number.isInteger(written.pid) ? { ...written, birth: written.birth ?? null } : null;
  } catch {
    return null;
  }
}
