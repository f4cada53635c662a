/** Nothing is stored that was not offered, and under no other name than it was offered with. */
import type { Evidence, Invariant } from './invariant.ts';

export function onlyOffered({ facts }: Evidence): Invariant {
  return {
    name: 'only-offered',
    inserted(row) {
      const asked = facts.asked(row.id);
      if (!asked) return `row ${row.id} (frame ${row.frame_id}, ${row.model}, ${row.status}) answers nothing that was offered`;
      const { truth, model } = asked;
      if (row.frame_id !== truth.frameId || row.model !== model) return `row ${row.id} says frame ${row.frame_id} and ${row.model}`;
      return null;
    },
  };
}
