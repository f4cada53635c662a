/** The models that are served. They come and go while a process runs: whoever needs them asks anew each time. */
import type { Model } from './model-card.ts';

export interface ModelSet {
  /**
   * All that answers, in order, also what is being unloaded: what was let in for it is still owed an answer. Each as it was
   * when it came, which is what pictures are cut for. The same array until one comes or goes.
   */
  all(): readonly Model[];
  /** Why a model that is asked for, and that others may serve, is not known here, neither by its folder nor by the topic; null: it is, or nobody asks for it. */
  unreadable(name: string): string | null;
  /** Resolves once all that was decided before the call, by whichever process, is known here. Throws log_unavailable. */
  caughtUp(): Promise<void>;
}

/** These and no others, for ever. */
export const fixedModels = (models: readonly Model[]): ModelSet => ({ all: () => models, unreadable: () => null, caughtUp: async () => {} });
