/** One run: start everything, offer frames, make the plan's faults, heal, wait for what is owed, judge. */
import { setTimeout as sleep } from 'node:timers/promises';
import { folderBlobs } from '../../connectors/blobs/folder.ts';
import { stageFamilies, stagesToWatch } from '../../processors/topology.ts';
import { making } from './faults/faults.ts';
import { play } from './faults/lanes.ts';
import { environmentKinds, type FaultKind, plan } from './faults/plan.ts';
import { judge, type Offence } from './judge/judge.ts';
import { lastSeen } from './judge/last-seen.ts';
import { deadLetters } from './judge/letters.ts';
import { rollupsEqual } from './judge/rollups.ts';
import { duplicatesByView, outcomeRows } from './judge/rows.ts';
import { createLedger } from './load/ledger.ts';
import { offerLoad } from './load/load.ts';
import type { Findings } from './report.ts';
import { whyNoCache } from './world/cache.ts';
import { memberNames, models, startWorld, tenant, type World } from './world/world.ts';
import { lagOf, nameOf, showProgress } from './watch/progress.ts';
import { recoveryWatch } from './watch/recovery.ts';
import { watchStore } from './watch/store-watch.ts';

/** What is owed is lost when nothing has come for so long after the last fault and the last frame, or not all has after the limit. */
const silenceMs = 150_000;
const drainLimitMs = 900_000;
const offencesTold = 20;
/** A shorter run has hardly a closed minute, and would wait longer for the rollups than it lasted. */
const rollupMinutes = 3;

export interface RunOptions {
  /** For data and logs of every process. */
  readonly folder: string;
  readonly minutes: number;
  readonly seed: number;
  readonly rate: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
  /** What has to be undone at the end, however far the run came. */
  readonly undo: (() => Promise<unknown> | unknown)[];
}

export async function runChaos({ folder, minutes, seed, rate, say: tell, signal, undo }: RunOptions): Promise<Findings> {
  const begunAt = Date.now();
  const say = (line: string): void => tell(`${String(Math.round((Date.now() - begunAt) / 1000)).padStart(5)} s  ${line}`);
  const members = memberNames(stageFamilies);
  let selfEnded = 0;
  say(`starting Kafka, registry, store and ${members.length} stages in ${folder}`);
  const world = await startWorld({
    folder,
    members,
    diskMegabytes: Math.round(96 + 3 * minutes * rate),
    say,
    undo,
    ended(_member, how) {
      selfEnded += 1;
      say(`   a stage ended by itself: ${how}`);
    },
  });
  signal.throwIfAborted();
  const without = new Map<FaultKind, string>();
  if (whyNoCache() !== null) without.set('cache_away', whyNoCache()!);
  if (world.objects.unfillable !== null) without.set('disk_full', world.objects.unfillable);
  for (const [kind, why] of without) say(`${kind} is left out: ${why}`);
  const faults = plan({ seed, minutes, members, without: new Set(without.keys()) });
  say(`${faults.length} faults in ${minutes} min, of them ${faults.filter(({ kind }) => kind === 'kill').length} kills; ${rate} frames a second`);

  const ledger = createLedger(tenant);
  const recovery = recoveryWatch(ledger);
  const seen = new Set<string>();
  const load = AbortSignal.timeout(minutes * 60_000);
  const watching = new AbortController();
  const groups = stagesToWatch(models);
  const startedAt = Date.now();
  const background = [
    showProgress({ log: world.log, ledger, groups, stored: () => seen.size, say, signal: AbortSignal.any([signal, watching.signal]) }),
    watchStore(
      world.store,
      (ids) => {
        for (const id of ids) seen.add(id);
        ledger.stored(ids);
        for (const { fault } of recovery.looked()) say(`<<    recovered: ${nameOf(fault)}`);
      },
      AbortSignal.any([signal, watching.signal]),
    ),
  ];
  const events = {
    began(fault: (typeof faults)[number]): void {
      recovery.began(fault);
      say(`>> ${fault.kind === 'member' ? 'a member joins:' : ''} ${nameOf(fault)}${fault.forMs > 0 ? ` for ${Math.round(fault.forMs / 1000)} s` : ''}; owed ${ledger.owed().size}`);
    },
    ended(fault: (typeof faults)[number]): void {
      recovery.ended(fault);
      say(`<< over: ${nameOf(fault)}; owed ${ledger.owed().size}`);
    },
  };
  const offering = offerLoad({ world, ledger, seed, rate, signal: AbortSignal.any([signal, load]) });
  await Promise.all([offering, play(faults, world, startedAt, events, signal)]);
  signal.throwIfAborted();
  for (const kind of environmentKinds) if (!without.has(kind)) await making[kind].end(world, faults[0]!);
  say('every fault is over and nothing more is offered; waiting for what is owed');
  const last = { at: Date.now(), seen: seen.size };
  const late = (limit: number): boolean => Date.now() - last.at > silenceMs || Date.now() > limit;
  for (const limit = Date.now() + drainLimitMs; !late(limit) && !(await drained(world, groups, ledger.owed().size)); await sleep(1_000)) {
    signal.throwIfAborted();
    if (seen.size > last.seen) Object.assign(last, { at: Date.now(), seen: seen.size });
  }
  const storedBy = Date.now();
  watching.abort();
  await Promise.all(background);

  say('judging by what came out');
  const rows = await outcomeRows(world.store);
  const letters = await deadLetters({ log: world.log, registry: world.registry, blobs: folderBlobs(world.objects.folder), models });
  const verdict = judge({ frames: ledger.frames.values(), rows, letters });
  const rolledUp = minutes < rollupMinutes ? null : await rollupsEqual(world.store, storedBy, signal);
  await explain(verdict.offences, world, say);
  return {
    seed,
    minutes,
    ledger,
    verdict,
    duplicates: await duplicatesByView(world.store),
    rollupsEqual: rolledUp,
    recoveries: recovery.results(),
    selfEnded,
    leftOut: [...without.keys()],
  };
}

/** Every group has read its topic to the end, and every acknowledged frame has its outcomes. */
async function drained(world: World, groups: ReturnType<typeof stagesToWatch>, owed: number): Promise<boolean> {
  if (owed > 0) return false;
  const lags = await Promise.all(groups.map(({ group, topic }) => lagOf(world.log, group, topic)));
  return lags.every((lag) => lag === 0);
}

async function explain(offences: readonly Offence[], world: World, say: (line: string) => void): Promise<void> {
  const told = offences.slice(0, offencesTold);
  const frames = [...new Set(told.flatMap(({ frame }) => frame ?? []))];
  const places = frames.length === 0 ? new Map<unknown, string[]>() : await lastSeen(world.log, world.registry, models, frames);
  for (const { what, frame, detail } of told) {
    say(`!! ${what}: ${detail}${frame ? `; frame ${frame.key} of ${frame.source}, ${frame.state}${frame.acknowledgedAt === null ? '' : ` at ${new Date(frame.acknowledgedAt).toISOString()}`}, id ${frame.frameId}` : ''}`);
    for (const place of frame ? (places.get(frame) ?? []) : []) say(`       in ${place}`);
  }
  if (offences.length > told.length) say(`!! and ${offences.length - told.length} more`);
}
