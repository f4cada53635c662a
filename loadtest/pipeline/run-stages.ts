/** One measured run of the pipeline: frames that lie in frames.in become rows in ClickHouse. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { type StageProcess, startStage } from '../stage-process.ts';
import type { Round } from './contestants.ts';
import { cpuSeconds, machineUse } from './usage.ts';

export interface Layout {
  /** What each process runs, from the end of the chain: whoever reads is there before what it reads comes. */
  readonly processes: readonly string[];
  readonly fuse: string;
}

export const layouts = {
  chained: { processes: ['sink', 'infer', 'preprocess', 'ingest'], fuse: '' },
  fused: { processes: ['ingest,preprocess,infer,sink'], fuse: 'ingest+preprocess,preprocess+infer,infer+sink' },
} as const satisfies Record<string, Layout>;

export interface StagesRun {
  readonly layout: Layout;
  readonly store: Store;
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
  /** Begins the names of the frames' sources. */
  readonly run: string;
  readonly count: number;
  /** Servers whose CPU the run uses too, by name. */
  readonly servers: readonly { readonly name: string; readonly pid: number }[];
}

const patienceMs = 600_000;

/** From the first prediction made to the last row stored. Throws not_ready when the rows do not come. */
export async function runStages({ layout, store, env, folder, run, count, servers }: StagesRun): Promise<Round> {
  const data = mkdtempSync(join(folder, 'data-'));
  const processes: StageProcess[] = [];
  try {
    for (const [i, stage] of layout.processes.entries()) {
      const fuse = layout.fuse === '' ? {} : { SACCADE_FUSE: layout.fuse };
      processes.push(await startStage(stage, { ...env, ...fuse, SACCADE_DATA: join(data, String(i)) }));
    }
    // What it cost to come up is not counted, what it cost until the first frames were through is a matter of milliseconds.
    const watched = [...processes.map(({ stage, child }) => ({ name: stage.includes(',') ? 'all stages' : stage, pid: child.pid! })), ...servers];
    const [before, use] = [watched.map(({ pid }) => cpuSeconds(pid)), machineUse()];
    const already = await stored(store, run);
    for (const until = clock.now() + patienceMs; (await stored(store, run)) < count; await clock.sleep(500)) {
      if (clock.now() > until) throw new SaccadeError('not_ready', `${await stored(store, run)} of ${count} rows of ${run} came.`);
    }
    const after = watched.map(({ pid }) => cpuSeconds(pid));
    const inUse = use(after.reduce((sum, seconds, i) => sum + seconds - before[i]!, 0));
    const [times] = await store.query<{ first: number; last: number; bad: number }>(
      "select toUnixTimestamp64Milli(min(completed_at)) as first, toUnixTimestamp64Milli(max(inserted_at)) as last, countIf(status != 'ok') as bad from predictions_raw final where startsWith(source, {run:String})",
      { run: `${run}-` },
    );
    const { first, last, bad } = times!;
    if (bad > 0) throw new SaccadeError('inference_failed', `${bad} frames of ${run} got no answer.`);
    const share = (count - already) / 1000;
    const cpuMs: Record<string, number> = {};
    // Several processes may run the same stage.
    watched.forEach(({ name }, i) => (cpuMs[name] = (cpuMs[name] ?? 0) + (after[i]! - before[i]!) / share));
    return { imagesPerSecond: ((count - 1) * 1000) / (last - first), cpuMs, inUse };
  } finally {
    await Promise.all(processes.map((each) => each.stop()));
    rmSync(data, { recursive: true, force: true, maxRetries: 20 });
  }
}

async function stored(store: Store, run: string): Promise<number> {
  const [row] = await store.query<{ n: number | string }>('select count() as n from predictions_raw where startsWith(source, {run:String})', { run: `${run}-` });
  return Number(row?.n ?? 0);
}
