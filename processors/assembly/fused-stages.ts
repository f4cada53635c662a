/** The stages as the page shows them, where some run as one step. */
import type { stagesToWatch } from '../topology.ts';

type Watched = ReturnType<typeof stagesToWatch>[number];

/**
 * The second of two fused families is as far as the first: their step reads the first one's topic, in its group. `apart`: one
 * that is not fused here, or not yet, reads its own.
 */
export function asFused(stages: readonly Watched[], fused: readonly (readonly [string, string])[], apart: (stage: string) => boolean = () => false): Watched[] {
  const head = (stage: string): string => {
    if (apart(stage)) return stage;
    const before = fused.find(([, second]) => second === stage.split('.')[0])?.[0];
    return before === undefined ? stage : head(before);
  };
  return stages.map((watched) => {
    // Behind a family of several, each with a topic of its own, there is no one to be as far as.
    const { group, topic } = stages.find(({ stage }) => stage === head(watched.stage)) ?? watched;
    return { stage: watched.stage, group, topic };
  });
}
