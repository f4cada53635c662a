/**
 * When what happens, drawn from the seed: two lanes that overlap, one for the stages' processes, one for what they stand
 * on. The same seed, length and stages give the same plan.
 */
import { type Random, seededRandom } from '../../simulation/world/random.ts';

export const processKinds = ['kill', 'stop', 'member'] as const;
export const environmentKinds = ['broker_restart', 'broker_kill', 'store_away', 'store_kill', 'store_slow', 'registry_away', 'cache_away', 'objects_away', 'disk_full'] as const;
export type FaultKind = (typeof processKinds)[number] | (typeof environmentKinds)[number];

export interface Fault {
  readonly lane: 'process' | 'environment';
  readonly kind: FaultKind;
  /** The member, of a fault of the process lane. */
  readonly target: string | null;
  /** Of a part that is away: whether its clients are refused, or hear nothing. */
  readonly how: 'refused' | 'silent' | null;
  /** From the start of the load, in milliseconds; a fault that takes longer than planned delays the rest of its lane. */
  readonly atMs: number;
  readonly forMs: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly members: readonly string[];
  /** Kinds that this machine cannot make. */
  readonly without: ReadonlySet<FaultKind>;
}

type Draft = Omit<Fault, 'lane' | 'atMs'>;

/** A run of this many minutes has everything at its full length. */
const fullMinutes = 15;
const killsOfFullRun = 26;
/** Longer than the session timeout of a member, 10 s: the group goes on without it, and it wakes as a zombie. */
const stopMs = [13_000, 18_000] as const;

/** Milliseconds in a full run. A broker's and a store's own time to start comes on top. */
const lengths: Record<(typeof environmentKinds)[number], number> = {
  broker_restart: 10_000,
  broker_kill: 5_000,
  store_away: 60_000,
  store_kill: 0,
  store_slow: 45_000,
  registry_away: 60_000,
  cache_away: 60_000,
  objects_away: 60_000,
  disk_full: 60_000,
};

export function plan({ seed, minutes, members, without }: PlanOptions): Fault[] {
  const random = seededRandom(seed);
  const total = minutes * 60_000;
  // Something must have been accepted before the first fault, and the last one needs time to be recovered from under load.
  const window = { from: Math.min(15_000, total * 0.15), to: total - Math.min(45_000, total * 0.3) };
  const stages = processLane(random, minutes, members);
  const world = environmentLane(random, minutes, window.to - window.from, without);
  return [...spread('process', stages, window, random), ...spread('environment', world, window, random)].sort((a, b) => a.atMs - b.atMs);
}

function processLane(random: Random, minutes: number, members: readonly string[]): Draft[] {
  const share = minutes / fullMinutes;
  const each = (count: number): string[] => {
    const rounds = Math.ceil(count / members.length);
    return [...Array(rounds)].flatMap(() => random.shuffled(members)).slice(0, count);
  };
  const kills = each(Math.max(2, Math.round(killsOfFullRun * share)));
  const stops = each(Math.round(members.length * share));
  const joins = each(Math.round(3 * share)).filter((member) => member !== 'edge');
  return random.shuffled([
    ...kills.map((target): Draft => ({ kind: 'kill', target, how: null, forMs: 0 })),
    ...stops.map((target): Draft => ({ kind: 'stop', target, how: null, forMs: Math.round(random.between(...stopMs)) })),
    ...joins.map((target): Draft => ({ kind: 'member', target, how: null, forMs: Math.round(random.between(15_000, 25_000)) })),
  ]);
}

/** As many as leave each other time to recover: every kind once before any comes twice. */
function environmentLane(random: Random, minutes: number, room: number, without: ReadonlySet<FaultKind>): Draft[] {
  const scale = Math.min(1, Math.max(minutes / fullMinutes, 0.1));
  // A short run leaves less time to recover, a broker's return alone takes some of it.
  const breathMs = 25_000;
  const possible = environmentKinds.filter((kind) => !without.has(kind));
  const again: (typeof possible)[number][] = ['broker_kill', 'store_kill'];
  const drafts: Draft[] = [];
  let left = room;
  for (let round = random.shuffled(possible); ; round = random.shuffled(minutes > fullMinutes ? possible : again)) {
    for (const kind of round) {
      const forMs = Math.round(lengths[kind] * scale);
      if (drafts.length > 0 && left < forMs + breathMs) return random.shuffled(drafts);
      left -= forMs + breathMs;
      const how = kind.endsWith('_away') && kind !== 'objects_away' ? random.pick(['refused', 'silent'] as const) : null;
      drafts.push({ kind, target: null, how, forMs });
    }
    if (drafts.length >= possible.length + again.length && minutes <= fullMinutes) return random.shuffled(drafts);
  }
}

/** Over the window, with the free time shared out at random between them. */
function spread(lane: Fault['lane'], drafts: readonly Draft[], window: { from: number; to: number }, random: Random): Fault[] {
  const busy = drafts.reduce((sum, { forMs }) => sum + forMs, 0);
  const gap = Math.max(0, window.to - window.from - busy) / drafts.length;
  let at = window.from;
  return drafts.map((draft) => {
    const fault: Fault = { lane, ...draft, atMs: Math.round(at + random.between(0, 0.4) * gap) };
    at += draft.forMs + gap;
    return fault;
  });
}
