/** What a command of `npm run saccade` is. The table of them is commands.ts. */
import type { World } from './world.ts';

/** Lines for a person (`say`, stderr) beside the answer itself (`print`, stdout). */
export interface Output {
  print(line: string): void;
  say(line: string): void;
}

export interface Command {
  /** As it is typed: `partitions add`. */
  readonly name: string;
  /** What follows the name. */
  readonly usage: string;
  readonly summary: string;
  /** More lines for --help, by option. */
  readonly options: readonly (readonly [option: string, help: string])[];
  /** Checks its arguments (throws bad_request) before it opens the world. `stopping` ends it early, with everything undone. */
  run(argv: readonly string[], open: () => Promise<World>, output: Output, stopping: AbortSignal): Promise<void>;
}
