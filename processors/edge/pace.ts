/**
 * How many pictures of one model the pipeline gets at once, over all that ask at this edge and by whichever door: as many as it
 * answers within the target. A thousand clients with a picture now and then fill a queue as well as one with many; only the sum tells.
 * Additive increase and multiplicative decrease, as TCP finds its window (RFC 5681); a queue that comes and goes is told from one that
 * stays by how long answers have been late without a break, as CoDel does (RFC 8289). They stand in one queue and take the same time,
 * so there is one limit for all doors: where they want different things of an answer, each has a say by what it has under way.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import { retryAfterSeconds } from './problem.ts';
import { recently } from './recently.ts';

/** One kind of client, as it is counted. */
export interface Door {
  /** No more may go in by it at present: all doors together have what the pipeline answers in time, and this one has its fair part of that. */
  readonly full: boolean;
  /** So many it may have at present, whatever the other doors want. */
  readonly part: number;
  /** Counts one that goes. */
  take(): void;
  /** One has come back: answered after `tookMs` in the pipeline; null: that says nothing about the pipeline. */
  back(tookMs: number | null): void;
  /** One was refused, and told to come again in a second. */
  turnedAway(): void;
}

export interface DoorRules {
  /** An answer that took longer in the pipeline was late; null: no answer is, and as long as nobody else is there so many may go as come. */
  readonly targetMs: number | null;
  /** How long all answers have been late before fewer may go; absent: the first late one will do. */
  readonly lateMs?: number;
  /** At first, until answers in time have shown that more may go; at most; at least, whatever the answers take (1 unless given). */
  readonly first: number;
  readonly most: number;
  readonly least?: number;
  /** So many are no overload: as long as no more want to go in, those turned away too, an answer is late only after that; absent: as any other. */
  readonly calm?: { readonly count: number; readonly targetMs: number };
}

export interface Pace<Name extends string> {
  /** Over all doors. */
  readonly limit: number;
  readonly doors: Readonly<Record<Name, Door>>;
}

const decrease = 0.7;

/** What whoever finds it full is told, by whichever door. */
export const tooMany = (): SaccadeError => new SaccadeError('overloaded', 'Answers would come late.');

interface State {
  readonly targetMs: number;
  readonly lateMs: number;
  readonly first: number;
  readonly most: number;
  readonly least: number;
  readonly calm: { readonly count: number; readonly targetMs: number };
  /** False: its answers are never late, nor in time. */
  readonly timed: boolean;
  inUse: number;
  /** At most so many by this door, however much the limit leaves it: what nobody has tried may be too much. */
  reach: number;
}

function stateOf({ targetMs, lateMs = 0, first, most, least = 1, calm }: DoorRules): State {
  const target = targetMs ?? Number.POSITIVE_INFINITY;
  return { targetMs: target, lateMs, first, most, least, calm: calm ?? { count: 0, targetMs: target }, timed: targetMs !== null, inUse: 0, reach: first };
}

export function createPace<Name extends string>(clock: Pick<Clock, 'now'>, rules: Readonly<Record<Name, DoorRules>>): Pace<Name> {
  const states = Object.entries<DoorRules>(rules).map(([name, rule]) => [name, stateOf(rule)] as const);
  const all = states.map(([, state]) => state);
  const refusals = recently(clock, retryAfterSeconds * 1_000);
  const timed = all.filter((state) => state.timed);
  const first = Math.max(...timed.map((state) => state.first));
  const most = Math.max(...timed.map((state) => state.most));
  let limit = first;
  let inUse = 0;
  /** When it was lowered last: what was on its way by then tells nothing new. */
  let loweredAt = Number.NEGATIVE_INFINITY;
  /** Since when no answer has been in time; null: the last one was. */
  let lateSince: number | null = null;
  /** The most under way since then: at the end of a queue that was worked off few are left. */
  let among = 0;

  /** What the doors want, each by its part of what is under way. Asked while an answer of one that wants something is counted. */
  const meant = (of: (state: State) => number): number =>
    timed.reduce((sum, state) => sum + (state.inUse === 0 ? 0 : state.inUse * of(state)), 0) / timed.reduce((sum, state) => sum + state.inUse, 0);

  /** How many would be in if nobody were refused: who was comes again, and is no less there for waiting outside. 0: nobody was. */
  function wanted(): number {
    const refused = refusals.count();
    return refused === 0 ? 0 : inUse + refused;
  }

  /** What an answer may take where so many may go. Where some are refused in any case, it is so many that the others are answered in time. */
  function targetOf(count: number): number {
    const there = Math.max(count, wanted());
    return meant(({ calm, targetMs }) => (there <= calm.count ? calm.targetMs : targetMs));
  }

  /** A door that is used less than it might be leaves the rest to the others; it has its part as soon as it wants it. */
  const fairPart = (state: State): number => Math.floor(limit / all.filter((one) => one === state || one.inUse > 0).length);

  function inTime(state: State, tookMs: number): void {
    lateSince = null;
    // Beside others it gets to its part within a few round trips: the limit is what all have found together. Alone it finds out step by step.
    if (state.inUse >= Math.floor(state.reach)) state.reach = Math.min(state.most, state.reach + (state.inUse < inUse ? 1 : 1 / state.reach));
    // An overload has passed, and who is left may go in whole: in so much time they would be answered (Little's law).
    const calm = Math.min(most, Math.max(...timed.filter((one) => one.inUse > 0).map((one) => one.calm.count)));
    if (wanted() <= calm && (tookMs * wanted()) / limit <= targetOf(0)) limit = Math.max(limit, wanted());
    const more = Math.min(most, limit + 1 / limit);
    // Where it was not reached, answers in time do not say that more would be in time too.
    if (inUse >= Math.floor(limit) && tookMs <= targetOf(more)) limit = more;
  }

  function late(now: number, tookMs: number): void {
    if (now - tookMs < loweredAt) return;
    if (lateSince === null) [lateSince, among] = [now, 0];
    among = Math.max(among, inUse);
    if (now - lateSince < meant(({ lateMs }) => lateMs)) return;
    // Down to where more time is allowed it goes by itself.
    const floor = Math.max(...timed.filter((state) => state.inUse > 0).map(({ calm, least }) => Math.max(least, limit > calm.count && wanted() <= calm.count ? calm.count : 0)));
    // What is in the pipeline is its pace times the time it takes (Little's law): so many would take the target.
    limit = Math.max(floor, Math.min(limit, among) * Math.min(decrease, targetOf(limit) / tookMs));
    for (const state of all) state.reach = Math.max(state.first, Math.min(state.reach, limit));
    loweredAt = now;
    lateSince = null;
  }

  const doorOf = (state: State): Door => ({
    get part() {
      return Math.max(state.least, Math.min(Math.floor(state.reach), fairPart(state)));
    },
    get full() {
      if (state.inUse < state.least || (!state.timed && state.inUse === inUse)) return false;
      return state.inUse >= Math.floor(state.reach) || (inUse >= Math.floor(limit) && state.inUse >= fairPart(state));
    },
    take() {
      // It has been empty: no queue stands there any more.
      if (inUse === 0) {
        lateSince = null;
        if (limit < first) limit = Math.min(first, 2 * limit);
      }
      inUse += 1;
      state.inUse += 1;
    },
    back(tookMs) {
      if (tookMs !== null && state.timed) {
        if (tookMs > targetOf(limit)) late(clock.now(), tookMs);
        else inTime(state, tookMs);
      }
      inUse -= 1;
      state.inUse -= 1;
    },
    turnedAway: () => refusals.add(),
  });

  return {
    get limit() {
      return limit;
    },
    doors: Object.fromEntries(states.map(([name, state]) => [name, doorOf(state)])) as Record<Name, Door>,
  };
}
