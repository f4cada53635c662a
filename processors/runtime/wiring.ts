/** How stages hang together: what topology.ts declares and the runtime runs. */
import type { Stage } from '../stage.ts';

/** A stage between its topics. */
export interface Step {
  readonly stage: Stage<never>;
  readonly from: string;
  readonly group: string;
  /** The stage's name of an output → topic. `*` stands for every other name, and in its topic for that name: an output for each model. */
  readonly to: Readonly<Record<string, string>>;
  /** A group that is new begins with what comes, not with all that its topic still holds: nothing of that is owed to anybody. */
  readonly begins?: 'latest';
  /** False: its topic is there to wait in, so it is never fused behind another, who would have to wait along. */
  readonly bypassable?: false;
}

/** A step with the steps fused behind it: what goes to their topics is handed over in memory instead. */
export interface Chain {
  readonly step: Step;
  /** By the topic that is bypassed. */
  readonly next: ReadonlyMap<string, Chain>;
}

/** Every step of a chain, head first. */
export function stepsOf(chain: Chain): Step[] {
  return [chain.step, ...[...chain.next.values()].flatMap(stepsOf)];
}

export interface Plan {
  /** What consumes topics: each step alone, or the head of a fused chain. */
  readonly chains: readonly Chain[];
  /** Steps that are fused behind another but still empty the topic that is bypassed now, so that nothing is stranded there. */
  readonly drains: readonly Chain[];
}

/** Whether some output of the step goes to the topic. */
export const feeds = ({ to }: Step, topic: string): boolean => Object.values(to).some((name) => isOf(name, topic));

/** Whether a topic is this one, or one of this family: `tensors.nanodet` is of `tensors.*`. */
export const isOf = (pattern: string, topic: string): boolean => (pattern.endsWith('*') ? topic.startsWith(pattern.slice(0, -1)) && !topic.endsWith('.dlq') : topic === pattern);

/** `infer` of `infer.nanodet`: the stages that one name in the settings stands for. */
export const family = (step: Step): string => step.stage.name.split('.')[0]!;

/** Pairs of stage families: ['preprocess', 'infer'] joins every step of the second whose topic the first one feeds. */
export type Fuse = readonly (readonly [string, string])[];

/** Whether the second is to be fused behind the first. */
export const joins = (fuse: Fuse, step: Step, other: Step): boolean =>
  other !== step && other.bypassable !== false && feeds(step, other.from) && fuse.some(([first, second]) => first === family(step) && second === family(other));

/** The step with those that are to be fused behind it. */
export const chainFrom = (step: Step, steps: readonly Step[], fuse: Fuse): Chain => ({
  step,
  next: new Map(steps.filter((other) => joins(fuse, step, other)).map((other) => [other.from, chainFrom(other, steps, fuse)])),
});

/** Joins neighbours as `fuse` asks. */
export function planChains(steps: readonly Step[], fuse: Fuse): Plan {
  const fused = steps.filter((step) => steps.some((other) => joins(fuse, other, step)));
  return {
    chains: steps.filter((step) => !fused.includes(step)).map((step) => chainFrom(step, steps, fuse)),
    drains: fused.map((step) => ({ step, next: new Map() })),
  };
}
