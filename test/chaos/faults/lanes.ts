/** Plays the plan: the two lanes side by side, each fault after the one before it in its lane. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../world/world.ts';
import { making } from './faults.ts';
import type { Fault } from './plan.ts';

export interface LaneEvents {
  began(fault: Fault): void;
  ended(fault: Fault): void;
}

/** Resolves when the last fault is over. An abort ends at once, with faults as they are. */
export async function play(faults: readonly Fault[], world: World, startedAt: number, events: LaneEvents, signal: AbortSignal): Promise<void> {
  const lane = async (name: Fault['lane']): Promise<void> => {
    for (const fault of faults.filter((one) => one.lane === name)) {
      await sleep(Math.max(0, startedAt + fault.atMs - Date.now()), undefined, { signal });
      events.began(fault);
      await making[fault.kind].begin(world, fault);
      await sleep(fault.forMs, undefined, { signal });
      await making[fault.kind].end(world, fault);
      events.ended(fault);
    }
  };
  await Promise.all([lane('process'), lane('environment')]);
}
