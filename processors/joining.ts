/** Who else is on the data folder, and what a process that joins them leaves to them: their port and their cameras. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SaccadeError } from '../connectors/errors.ts';
import { lockFolder } from '../deploy/local/folder-lock.ts';
import { readRunFile, type RunFile } from '../deploy/local/run-file.ts';
import type { Config } from './config.ts';

export interface Place {
  /** The pipeline to join; null: there is none, this process is the first. */
  readonly running: RunFile | null;
  /** This process has the folder's lock, until it releases it. */
  readonly locked: boolean;
  release(): void;
}

/**
 * Finds the pipeline that runs on the folder, or makes this process its first. Of several stages started at once one is
 * first; the others wait until it is up, or until it has given up and one of them is first.
 * Throws invalid_config when the folder is taken by a process that cannot be joined, or that is not up in time.
 */
export async function takePlace({ settings: s, given }: Config, data: string, say: (line: string) => void, withinMs = 120_000): Promise<Place> {
  const embedded = !s.KAFKA_BROKERS || (!s.CLICKHOUSE_URL && s.SACCADE_STAGES.includes('sink'));
  const within = AbortSignal.timeout(withinMs);
  for (let waits = 0; ; waits += 1) {
    const running = readRunFile(data);
    if (running || !embedded) return { running, locked: false, release: () => {} };
    try {
      return { running: null, locked: true, release: lockFolder(data) };
    } catch (error) {
      if (!(error instanceof SaccadeError) || !given.has('SACCADE_STAGES')) throw error;
      if (within.aborted) throw new SaccadeError('invalid_config', `${error.detail} It could not be joined: it was not up within ${withinMs / 1000} s.`, error);
      if (waits === 0) say(`waiting up to ${withinMs / 1000} s for the process that is starting on ${data}, to join it`);
    }
    await sleep(200);
  }
}

/** As the process listens on it; a URL leaves out the usual one. */
function listensOn({ url }: { readonly url: string }): number {
  const { port, protocol } = new URL(url);
  return Number(port || (protocol === 'https:' ? 443 : 80));
}

/**
 * The port to listen on; 0: any free one. The environment and .env are the whole pipeline's: of its processes only one can
 * have that PORT. A joiner takes it for an edge, where it is not the port of the first process: an edge more was given another on
 * purpose. A flag always counts, it was meant for this process.
 */
export function portOf({ settings: s, given, byFlag }: Config, running: RunFile | null): number {
  const edge = s.SACCADE_STAGES.includes('edge');
  if (byFlag.has('PORT')) return s.PORT;
  // Without the edge the port is only for health and metrics.
  if (!running) return edge || given.has('PORT') ? s.PORT : 0;
  const taken = [running.edge, running.ops].some((door) => door && listensOn(door) === s.PORT);
  return edge && !taken && (running.edge === null || given.has('PORT')) ? s.PORT : 0;
}

/** The cameras to open, as --source names them. One that runs already, or the demo, must not come along with every added stage. */
export function camerasOf({ settings: s, given, byFlag }: Config, running: RunFile | null): readonly string[] {
  if (byFlag.has('SACCADE_SOURCE')) return s.SACCADE_SOURCE;
  if (running) return [];
  return given.has('SACCADE_STAGES') && !given.has('SACCADE_SOURCE') ? [] : s.SACCADE_SOURCE;
}

/** What is wrong with joining so, in sentences: a stage whose topic the pipeline bypasses has nothing to read. */
export function inVain({ settings: s }: Config, running: RunFile | null): string[] {
  return (running?.fused ?? []).flatMap((pair) => {
    const [first, second] = pair.split('+') as [never, never];
    if (!s.SACCADE_STAGES.includes(second) || s.SACCADE_STAGES.includes(first)) return [];
    return [`The pipeline that runs here hands over from ${first} to ${second} in memory, so ${second} alone gets nothing: join with ${first},${second}, or start that pipeline with --fuse none.`];
  });
}
