/** What one seed sets up: a deployment, a load, and which faults strike how often. Drawn once, before anything happens. */
import type { QuotaRules } from '../../../processors/ingest/quota.ts';
import type { StageFamily } from '../../../processors/topology.ts';
import type { Random } from './random.ts';

export type Place = 'log' | 'store' | 'registry' | 'blobs';

export interface ProcessPlan {
  readonly name: string;
  readonly families: readonly StageFamily[];
  readonly fused: boolean;
}

export interface Outage {
  readonly place: Place;
  /** Virtual milliseconds. */
  readonly from: number;
  readonly to: number;
}

/** Probabilities of one call each, unless a unit is named. */
export interface Rates {
  readonly crashInCall: number;
  readonly failBefore: number;
  readonly failAfter: number;
  readonly partial: number;
  readonly timeout: number;
  readonly slow: number;
  /** A member hears late of a rebalance. */
  readonly zombie: number;
  readonly stageFault: number;
  /** Mean milliseconds between two; Infinity for never. */
  readonly crashEveryMs: number;
  readonly kickEveryMs: number;
  readonly stopEveryMs: number;
  readonly clockJumpEveryMs: number;
}

export interface Scenario {
  readonly partitions: number;
  readonly cameras: readonly string[];
  readonly apps: readonly string[];
  readonly framesPerSource: number;
  /** Of frames: the share that is at fault in some way, has a deadline, is offered again. */
  readonly poison: number;
  readonly deadlines: number;
  /** Frames that end the process that works on them. */
  readonly killers: number;
  /** Processes on one machine read each other's journals; on several, each only those of its own lives. */
  readonly oneMachine: boolean;
  readonly repeats: number;
  readonly processes: readonly ProcessPlan[];
  /** When all processes are ended at once, to come back fused; until then none is. Null when they are what they are from the start. */
  readonly fuseAt: number | null;
  /** Fused and unfused processes side by side: there are two ways to one stage. */
  readonly mixed: boolean;
  /** In processes that are fused the last of the models comes and goes, in each at times of its own. */
  readonly live: boolean;
  /** What a source may send before it goes over to the overflow lane; null: no quota. */
  readonly quota: QuotaRules | null;
  readonly inFlightBytes: number;
  readonly fetchBytesPerPartition: number;
  readonly commitIntervalMs: number;
  readonly rates: Rates;
  readonly outages: readonly Outage[];
  /** All frames are offered by then. */
  readonly offeredBy: number;
  /** From here on no new fault begins. */
  readonly calmAt: number;
}

export const models = ['alpha', 'beta'] as const;
const wholeChain: readonly StageFamily[] = ['ingest', 'preprocess', 'infer', 'sink'];

export function drawScenario(random: Random): Scenario {
  const calmAt = random.between(10_000, 40_000);
  const fusing = random.pick(['none', 'none', 'none', 'all', 'all', 'later', 'mixed', 'live', 'live'] as const);
  return {
    partitions: 1 + random.below(3),
    cameras: ['cam-a', 'cam-b', 'cam-c', 'cam-d'].slice(0, 1 + random.below(4)),
    apps: ['app-a', 'app-b'].slice(0, random.below(3)),
    // Now and then a flood, so that what leaks a little at each rebalance has the time to add up.
    framesPerSource: random.chance(0.07) ? 150 : 6 + random.below(30),
    poison: random.pick([0, 0.1, 0.3]),
    deadlines: random.pick([0, 0, 0.2]),
    killers: random.pick([0, 0, 0, 1]),
    oneMachine: random.chance(0.7),
    repeats: random.pick([0, 0.1, 0.3]),
    processes: drawProcesses(random, fusing),
    fuseAt: fusing === 'later' ? random.between(0.2, 0.8) * calmAt : null,
    mixed: fusing === 'mixed' || fusing === 'live',
    live: fusing === 'live',
    quota: random.pick([null, { framesPerSecond: 1, burst: 3, calmMs: 500 }, { framesPerSecond: 20, burst: 5, calmMs: 200 }, { framesPerSecond: 5, burst: 1, calmMs: 0 }]),
    inFlightBytes: random.pick([6_000, 12_000, 50_000]),
    fetchBytesPerPartition: random.pick([1_500, 4_000, 8_000]),
    commitIntervalMs: random.pick([5, 100, 1_000]),
    rates: drawRates(random),
    outages: drawOutages(random, calmAt),
    offeredBy: calmAt * random.between(0.3, 0.9),
    calmAt,
  };
}

function drawProcesses(random: Random, fusing: 'none' | 'all' | 'later' | 'mixed' | 'live'): ProcessPlan[] {
  const fused = (index: number): boolean => fusing === 'all' || fusing === 'later' || fusing === 'live' || (fusing === 'mixed' && index % 2 === 0);
  const replicas = (name: string, families: readonly StageFamily[], count: number): ProcessPlan[] =>
    Array.from({ length: count }, (_, i) => ({ name: `${name}-${i + 1}`, families, fused: fused(i) && families.includes('infer') && families.includes('preprocess') }));
  const some = (): number => 1 + random.below(2);
  if (random.chance(0.5)) return replicas('all', wholeChain, fusing === 'mixed' ? 2 : 1 + random.below(3));
  const middle: readonly (readonly StageFamily[])[] = fusing === 'none' ? [['preprocess'], ['infer']] : [['preprocess', 'infer']];
  return [['ingest'] as const, ...middle, ['sink'] as const].flatMap((families) =>
    replicas(families.join('+'), families, fusing === 'mixed' ? 2 : some()),
  );
}

/** Each kind of fault is left out of about half of the seeds: a few that come often find more than all that come rarely. */
function drawRates(random: Random): Rates {
  const rate = (...choices: number[]): number => (random.chance(0.5) ? random.pick(choices) : 0);
  const every = (...choices: number[]): number => (random.chance(0.6) ? random.pick(choices) : Infinity);
  return {
    crashInCall: rate(0.0005, 0.003),
    failBefore: rate(0.01, 0.1),
    failAfter: rate(0.01, 0.1),
    partial: rate(0.02, 0.2),
    timeout: rate(0.002, 0.01),
    slow: rate(0.02, 0.2),
    zombie: rate(0.2, 0.6),
    stageFault: rate(0.01, 0.05),
    crashEveryMs: every(2_000, 6_000, 15_000),
    kickEveryMs: every(1_000, 4_000, 12_000),
    stopEveryMs: every(5_000, 15_000),
    clockJumpEveryMs: every(2_000, 10_000),
  };
}

function drawOutages(random: Random, calmAt: number): Outage[] {
  return (['log', 'store', 'registry', 'blobs'] as const).flatMap((place) => {
    if (!random.chance(0.3)) return [];
    const from = random.between(0, calmAt);
    return [{ place, from, to: Math.min(calmAt, from + random.between(200, 15_000)) }];
  });
}
