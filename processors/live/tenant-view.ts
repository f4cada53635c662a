/** What one tenant's viewers are shown: its own frames, answers and numbers, and nobody else's. */
import type { Prediction } from '../../schemas/records.ts';
import type { FrameEvent, LiveEvent } from './events.ts';
import { joiner, type Joiner } from './joiner.ts';
import { tally, type Tally } from './tally.ts';

export interface TenantView {
  readonly counts: Tally;
  readonly join: Joiner;
  readonly listeners: Set<(event: LiveEvent) => void>;
  /** Told of every prediction once. */
  readonly followers: Set<(prediction: Prediction) => void>;
  prediction(prediction: Prediction, now: number): void;
  emit(event: LiveEvent): void;
}

/** One for each tenant, made when it is first seen: tenants are made by an admin, so their number needs no limit here. */
export function tenantViews(since: () => number, hasPicture: (frameId: string) => boolean): { of(tenant: string): TenantView; all(): Iterable<TenantView> } {
  const views = new Map<string, TenantView>();

  function make(): TenantView {
    const listeners = new Set<(event: LiveEvent) => void>();
    const followers = new Set<(prediction: Prediction) => void>();
    const emit = (event: LiveEvent): void => {
      for (const listener of listeners) listener(event);
    };
    const counts = tally(since());
    const join = joiner({ hasPicture, show: (data: FrameEvent) => emit({ event: 'frame', data }) });
    return {
      counts,
      join,
      listeners,
      followers,
      emit,
      prediction(prediction, now) {
        if (!counts.add(prediction, now)) return;
        for (const follower of followers) follower(prediction);
        if (listeners.size > 0) join.prediction(prediction, now);
      },
    };
  }

  return {
    of(tenant) {
      const found = views.get(tenant) ?? make();
      views.set(tenant, found);
      return found;
    },
    all: () => views.values(),
  };
}
