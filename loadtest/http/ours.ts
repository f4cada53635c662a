/** Saccade as one process on a Kafka, a registry and a ClickHouse of the bench's own; with `apart`, its edge as another. */
import { join } from 'node:path';
import { stageFamilies } from '../../processors/topology.ts';
import type { BenchPlace } from '../pipeline/place.ts';
import { type StageProcess, startStage } from '../stage-process.ts';
import type { Watched } from './run.ts';

export interface Ours {
  readonly url: string;
  readonly watched: Watched;
  stop(): Promise<void>;
}

export async function startOurs({ env, folder, servers }: BenchPlace, { fuse, apart }: { readonly fuse: string | undefined; readonly apart: boolean }): Promise<Ours> {
  const stages = stageFamilies.filter((stage) => stage !== 'edge');
  const groups = apart ? [stages, ['edge']] : [[...stages, 'edge']];
  const processes: StageProcess[] = [];
  const stop = async (): Promise<void> => void (await Promise.all(processes.map((each) => each.stop())));
  try {
    for (const [i, group] of groups.entries()) {
      // As it comes: with the cache, which finds nothing of pictures that it has not seen.
      const own = { SACCADE_CACHE: 'stills', SACCADE_DATA: join(folder, `ours-${i}`), ...(fuse === undefined || group.length === 1 ? {} : { SACCADE_FUSE: fuse }) };
      processes.push(await startStage(group.join(','), { ...env, ...own }));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const edge = processes.at(-1)!;
  const pids = Object.fromEntries([...processes.map(({ stage, child }) => [apart ? (stage === 'edge' ? 'edge' : 'stages') : 'edge and stages', child.pid!]), ...servers.map(({ name, pid }) => [name, pid])]);
  return { url: edge.url, watched: pids, stop };
}
