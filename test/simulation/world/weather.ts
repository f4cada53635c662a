/** What becomes of each call to the world outside: how long it takes, and whether and how it fails. */
import type { Random } from './random.ts';
import type { Place, Scenario } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';

export type Ending =
  | 'done'
  /** Refused before it had any effect. */
  | 'fail-before'
  /** It took effect, and its answer was lost. */
  | 'fail-after'
  /** Some of it took effect, then it failed (only sends; for others as fail-before). */
  | 'partial'
  /** No answer in time; it may take effect later than that. */
  | 'timeout';

export interface Fate {
  readonly ending: Ending;
  /** Milliseconds on the way there, and back. */
  readonly thereMs: number;
  readonly backMs: number;
}

export interface Weather {
  /** False from the scenario's `calmAt` on. */
  stormy(): boolean;
  fate(place: Place): Fate;
  /** Whether a fault of this probability strikes now; never in calm. */
  strikes(probability: number): boolean;
  latency(): number;
}

export function weatherOf(scenario: Scenario, random: Random, time: Scheduler): Weather {
  const { rates, outages, calmAt } = scenario;
  const stormy = (): boolean => time.now < calmAt;
  const strikes = (probability: number): boolean => random.chance(stormy() ? probability : 0);
  const latency = (): number => (strikes(rates.slow) ? random.between(50, 3_000) : random.between(0.5, 20));
  const away = (place: Place): boolean => outages.some((outage) => outage.place === place && time.now >= outage.from && time.now < outage.to);

  function ending(place: Place): Ending {
    if (away(place)) return 'fail-before';
    if (strikes(rates.failBefore)) return 'fail-before';
    if (strikes(rates.failAfter)) return 'fail-after';
    if (strikes(rates.partial)) return 'partial';
    if (strikes(rates.timeout)) return 'timeout';
    return 'done';
  }

  return {
    stormy,
    strikes,
    latency,
    fate: (place) => ({ ending: ending(place), thereMs: latency(), backMs: latency() }),
  };
}
