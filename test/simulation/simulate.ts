/** Runs one seed: storm, calm, and the verdict. */
import { type Broken, sound } from './broken/broken.ts';
import type { Violation } from './world/judge.ts';
import { createWorld } from './world/world.ts';

export interface Verdict {
  readonly seed: number;
  /** Empty when all is well; else what broke, first the first. */
  readonly violations: readonly Violation[];
  readonly crashes: number;
  readonly rebalances: number;
  readonly events: number;
  /** Virtual milliseconds from the beginning of the calm to rest. */
  readonly settledMs: number;
  /** Two runs of one seed that agree here have done the same. */
  readonly fingerprint: string;
}

/** In calm, the longest time without a commit before all is at rest. The longest waits one after the other (a session, a late rebalance, an unanswered call, a backoff) take 40 s. */
const patienceMs = 60_000;
/** A record that kills its process costs four lives on each machine, and as many sessions: none of them commits anything. */
const patiencePerKillerMs = 80_000;
/** A run that does more than this is a hot loop. */
const mostEvents = 400_000;

export interface SimulateOptions {
  readonly broken?: Broken;
  /** Goes on after a violation, to see which other invariants fall. */
  readonly toTheEnd?: boolean;
  schedule?(at: number, who: string, what: string): void;
}

/** Not to be called while another call of this thread is under way: a rejection that nobody handles is the running seed's. */
export async function simulate(seed: number, { broken = sound, toTheEnd = false, schedule }: SimulateOptions = {}): Promise<Verdict> {
  const undo = broken.install?.();
  const world = createWorld(seed, broken, schedule ?? null);
  const { time, judge, scenario } = world;
  const orphan = (reason: unknown): void => judge.violated('no-orphan-rejection', String(reason));
  process.on('unhandledRejection', orphan);
  try {
    world.start();
    const patience = patienceMs + scenario.killers * patiencePerKillerMs;
    let until = scenario.calmAt + patience;
    let committed = 0;
    let rest = false;
    let looked = 0;
    const over = (): boolean => {
      if ((!toTheEnd && judge.violations.length > 0) || time.now > until || time.count > mostEvents) return true;
      if (world.weather.stormy() || time.count < looked) return false;
      looked = time.count + 20;
      const progress = committedBy(world);
      if (progress > committed) until = Math.max(until, time.now + patience);
      committed = progress;
      rest = world.atRest;
      return rest;
    };
    const ending = await time.run(over);
    // One more turn, for rejections of the last events.
    await new Promise((resolve) => setImmediate(resolve));
    if (!toTheEnd && judge.violations.length > 0) return verdict();
    if (rest || (ending === 'idle' && world.atRest)) judge.settled();
    else judge.violated('settles', `${Math.round(time.now - scenario.calmAt)} ms and ${time.count} events into the calm, not all is consumed: ${behind(world)}`);
    return verdict();
  } finally {
    process.off('unhandledRejection', orphan);
    undo?.();
  }

  function verdict(): Verdict {
    return {
      seed,
      violations: judge.violations,
      crashes: world.counts.crashes,
      rebalances: world.groups.rebalances,
      events: time.count,
      settledMs: Math.max(0, time.now - scenario.calmAt),
      fingerprint: `${time.count} ${time.now} ${world.random.state}`,
    };
  }
}

const committedBy = ({ groups }: ReturnType<typeof createWorld>): number =>
  [...groups.all()].reduce((sum, { committed }) => [...committed.values()].reduce((all, offset) => all + offset, sum), 0);

function behind({ groups, broker, scenario }: ReturnType<typeof createWorld>): string {
  const late = [...groups.all()].flatMap(({ name, topic, committed }) =>
    Array.from({ length: scenario.partitions }, (_, partition) => ({ partition, end: broker.end({ topic, partition }) }))
      .filter(({ partition, end }) => (committed.get(partition) ?? 0) !== end)
      .map(({ partition, end }) => `${name} ${topic}/${partition} at ${committed.get(partition) ?? 0} of ${end}`),
  );
  return late.join(', ') || 'a group is missing, or a producer has not finished';
}
