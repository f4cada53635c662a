/**
 * A simulated process: what it may still do. Once it is dead no call of it returns and none begins, which is all that a
 * killed process is; what it had already handed to the network may arrive all the same.
 */
import { SaccadeError, type ErrorCode } from '../../../connectors/errors.ts';
import type { Clock } from '../../../connectors/ports.ts';
import type { Place } from '../world/scenario.ts';
import type { World } from '../world/world.ts';

export interface Life {
  readonly name: string;
  readonly alive: boolean;
  /** Told to stop in order. */
  stopping: boolean;
  readonly clock: Clock;
  end(why: string): void;
  /** Told at once when it has ended already. */
  onEnd(told: () => void): void;
  /** Its wall clock moves by so many milliseconds; sleeps under way do not care. */
  jumpClock(ms: number): void;
  /** Work of the process itself that takes time. */
  work(ms: number): Promise<void>;
  /** One call to a service outside. `partial` is the effect of one that fails half way. Throws `<place>_unavailable`, and what the effect throws. */
  call<T>(place: Place, what: string, effect: () => T, options?: CallOptions): Promise<T>;
}

export interface CallOptions {
  readonly partial?: () => void;
  /** Whether it can still take effect after its caller has given up or died. */
  readonly late?: boolean;
}

const unavailable: Record<Place, ErrorCode> = {
  log: 'log_unavailable',
  store: 'store_unavailable',
  registry: 'registry_unavailable',
  blobs: 'blobs_unavailable',
};

/** 2027-01-15, so that times look like times. */
export const epoch = 1_800_000_000_000;
const patienceMs = 10_000;

export function createLife(world: World, name: string): Life {
  const { time, weather, random, scenario } = world;
  const ends: (() => void)[] = [];
  let alive = true;
  let offset = 0;

  function end(why: string): void {
    if (!alive) return;
    alive = false;
    world.note(name, why);
    for (const told of ends) told();
  }

  /** True when the process dies here: between any two steps there is a call, and each may be its last. */
  function dies(where: string): boolean {
    if (alive && weather.strikes(scenario.rates.crashInCall)) {
      world.counts.crashes += 1;
      end(`CRASH ${where}`);
    }
    return !alive;
  }

  function call<T>(place: Place, what: string, effect: () => T, { partial, late = false }: CallOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (dies(`before ${what}`)) return;
      const { ending, thereMs, backMs } = weather.fate(place);
      const answer = (ms: number, settle: () => void): void => {
        time.after(ms, () => {
          if (!dies(`before the answer of ${what}`)) settle();
        });
      };
      const refuse = (why: string): void => {
        world.note(name, `${what}: ${why}`);
        answer(backMs, () => reject(new SaccadeError(unavailable[place], why)));
      };
      if (ending === 'timeout') time.after(patienceMs, () => alive && reject(new SaccadeError(unavailable[place], 'no answer')));

      time.after(ending === 'timeout' && late ? thereMs + random.between(0, 2 * patienceMs) : thereMs, () => {
        if (!alive && !(late && random.chance(0.5))) return;
        if (ending === 'timeout' && !late) return world.note(name, `${what}: lost on the way`);
        if (ending === 'fail-before') return refuse('refused');
        if (ending === 'partial') {
          partial?.();
          return refuse(partial ? 'failed half way' : 'refused');
        }
        let result: T;
        try {
          result = effect();
        } catch (error) {
          return answer(backMs, () => reject(error as Error));
        }
        if (ending === 'timeout' || dies(`after ${what}`)) return;
        if (ending === 'fail-after') return refuse('done, but the answer was lost');
        answer(backMs, () => resolve(result));
      });
    });
  }

  const clock: Clock = {
    now: () => Math.floor(epoch + time.now + offset),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (!alive) return;
        if (signal?.aborted) return resolve();
        const woken = (): void => {
          signal?.removeEventListener('abort', aborted);
          if (alive) resolve();
        };
        const timer = time.after(ms, woken);
        const aborted = (): void => {
          timer.cancel();
          woken();
        };
        signal?.addEventListener('abort', aborted, { once: true });
      }),
  };

  return {
    name,
    get alive() {
      return alive;
    },
    stopping: false,
    clock,
    end,
    onEnd(told) {
      if (alive) ends.push(told);
      else told();
    },
    jumpClock(ms) {
      offset += ms;
    },
    work: (ms) => clock.sleep(ms),
    call,
  };
}
