/** A runtime that is wrong in one way, to show that the simulation sees it. Only wrappers: production code knows nothing of this. */
import type { Clock } from '../../../connectors/ports.ts';
import type { Stage } from '../../../processors/stage.ts';
import type { Life } from '../process/life.ts';
import type { Ports } from '../process/ports.ts';
import type { Random } from '../world/random.ts';

export interface Broken {
  readonly name: string;
  readonly sentence: string;
  /** The invariants that may catch it first. */
  readonly breaks: readonly string[];
  ports?(ports: Ports, at: { readonly random: Random; readonly life: Life }): Ports;
  stage?(stage: Stage<never>): Stage<never>;
  clock?(clock: Clock): Clock;
  /** Changes the runtime's own parts for as long as a run lasts; answers how to undo it. */
  install?(): () => void;
}

export const sound: Broken = { name: 'none', sentence: 'The runtime as it is.', breaks: [] };
