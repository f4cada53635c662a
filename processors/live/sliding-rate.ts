export interface SlidingRate {
  add(now: number, count?: number): void;
  perSecond(now: number): number;
}

/** Events a second over the last `seconds` whole seconds, in memory that does not grow with the rate. */
export function slidingRate(seconds = 10): SlidingRate {
  const slots = Array.from({ length: seconds + 1 }, () => ({ second: -1, count: 0 }));
  let first: number | null = null;
  return {
    add(now, count = 1) {
      first ??= now;
      const second = Math.floor(now / 1000);
      const slot = slots[second % slots.length]!;
      if (slot.second !== second) Object.assign(slot, { second, count: 0 });
      slot.count += count;
    },
    perSecond(now) {
      if (first === null) return 0;
      const current = Math.floor(now / 1000);
      let count = 0;
      // The second under way is left out: half of it would read as half the rate.
      for (const slot of slots) if (slot.second >= current - seconds && slot.second < current) count += slot.count;
      const age = current - Math.floor(first / 1000);
      return age === 0 ? 0 : count / Math.min(seconds, age);
    },
  };
}
