/** What this edge has accepted of late and what became of it: the store knows of it a moment later, and of no pending one. */
import type { Clock } from '../../connectors/ports.ts';
import type { Prediction } from '../../schemas/records.ts';

export interface RecentResult {
  readonly model: string;
  /** Null: it is on its way. Without its embedding, which no client is told. */
  readonly prediction: Prediction | null;
}

export interface RecentResults {
  accepted(tenant: string, id: string, model: string): void;
  settled(tenant: string, prediction: Prediction): void;
  /** Of this frame of this tenant; empty when nothing is known here. */
  find(tenant: string, id: string): readonly RecentResult[];
}

interface Entry {
  readonly at: number;
  readonly models: Map<string, Prediction | null>;
}

export function recentResults(clock: Clock, { mostFrames = 5_000, keepMs = 10 * 60_000 } = {}): RecentResults {
  // In the order of their last acceptance, so that the oldest is the first.
  const frames = new Map<string, Entry>();
  // The tenant is part of the name: another's frame cannot even be looked up.
  const nameOf = (tenant: string, id: string): string => `${tenant}\0${id}`;

  function expire(): void {
    for (const [name, { at }] of frames) {
      if (frames.size <= mostFrames && at > clock.now() - keepMs) return;
      frames.delete(name);
    }
  }

  return {
    accepted(tenant, id, model) {
      const name = nameOf(tenant, id);
      const models = frames.get(name)?.models ?? new Map<string, Prediction | null>();
      // A repeat under the same key has its answer already.
      if (!models.has(model)) models.set(model, null);
      frames.delete(name);
      frames.set(name, { at: clock.now(), models });
      expire();
    },
    settled(tenant, prediction) {
      frames.get(nameOf(tenant, prediction.frame_id))?.models.set(prediction.model, { ...prediction, embedding: null });
    },
    find(tenant, id) {
      expire();
      return [...(frames.get(nameOf(tenant, id))?.models ?? [])].map(([model, prediction]) => ({ model, prediction }));
    },
  };
}
