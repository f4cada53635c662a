/**
 * How much of the chain behind is spare: the overflow lane's pace. While what waits behind is short the pace grows, when it
 * is long the pace falls, when it is much too long nothing goes: additive and multiplicative, as TCP shares a line.
 */
import type { Clock } from '../../connectors/ports.ts';

/** A group of the chain behind at this moment, over all its partitions. */
export interface Behind {
  /** Records it has not finished. */
  readonly lag: number;
  /** Records it has finished since the topic began; its advance between two looks is its pace. */
  readonly done: number;
}

export interface RoomOptions {
  readonly clock: Clock;
  /** The groups, in the same order as long as there are as many. Throws log_unavailable. */
  look(): Promise<readonly Behind[]>;
}

export interface Room {
  /** Waits for room and answers for how many frames there is (1 to `wanted`); 0 once it is over. Throws log_unavailable. */
  take(wanted: number, over: () => boolean): Promise<number>;
}

/** Between two looks; also what a grant may gather. */
const lookEveryMs = 200;
/** What waits behind may be worth so much of the group's own time; commits alone trail by half of it. */
const shortMs = 300;
/** So few are short whatever the pace: one in work, one that lies ready. More would be seconds where a model takes half a one. */
const handful = 2;
/** So many times what counts as short, a frame goes every so often and no more. */
const tooLong = 3;
const trickleMs = 1_000;
/** The pace of a group is taken over this long: commits come in steps. */
const paceOverMs = 2_000;
const slowest = 2;
const fastest = 100_000;

interface Look {
  readonly at: number;
  readonly groups: readonly Behind[];
}

export function room({ clock, look }: RoomOptions): Room {
  let looks: Look[] = [];
  let perSecond = 10;
  let tokens = 1;
  let filledAt = clock.now();
  let wasShort = false;
  let closed = false;
  let grantedAt = clock.now();

  function judge(now: Look): void {
    // Of other groups than before: a model has come or gone.
    if (looks[0]?.groups.length !== now.groups.length) looks = [];
    looks = [...looks.filter(({ at }) => at <= now.at && now.at - at <= paceOverMs), now];
    const first = looks[0]!;
    const seconds = (now.at - first.at) / 1000;
    const fullness = now.groups.map(({ lag, done }, i) => {
      const pace = seconds > 0 ? Math.max(0, done - (first.groups[i]?.done ?? done)) / seconds : 0;
      return lag / Math.max(handful, (pace * shortMs) / 1000);
    });
    const fullest = Math.max(0, ...fullness);
    closed = fullest > tooLong;
    if (fullest > 1) perSecond = Math.max(slowest, perSecond * 0.7);
    // A pace that nobody used up says nothing of what the chain can bear.
    else if (wasShort) perSecond = Math.min(fastest, perSecond * 1.25 + 2);
    wasShort = false;
  }

  function fill(now: number): void {
    // Set back or far ahead, the clock must neither stop the lane nor open it.
    const elapsed = Math.min(lookEveryMs, Math.max(0, now - filledAt));
    filledAt = now;
    tokens = Math.min(Math.max(1, (perSecond * lookEveryMs) / 1000), tokens + (perSecond * elapsed) / 1000);
  }

  return {
    async take(wanted, over) {
      while (!over()) {
        const now = clock.now();
        const last = looks.at(-1);
        if (!last || Math.abs(now - last.at) >= lookEveryMs) judge({ at: now, groups: await look() });
        fill(clock.now());
        // Also when the clock was set back.
        const trickles = closed && Math.abs(clock.now() - grantedAt) >= trickleMs;
        if (trickles || (!closed && tokens >= 1)) {
          const granted = trickles ? 1 : Math.min(wanted, Math.floor(tokens));
          grantedAt = clock.now();
          if (granted < wanted) wasShort = true;
          tokens = Math.max(0, tokens - granted);
          return granted;
        }
        wasShort = true;
        await clock.sleep(closed ? lookEveryMs : Math.min(lookEveryMs, 1 + (1000 * (1 - tokens)) / perSecond));
      }
      return 0;
    },
  };
}
