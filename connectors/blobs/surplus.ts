/** Which blobs go where there are more bytes than there is room for. */

export interface Held {
  readonly size: number;
  /** When it was stored last. */
  readonly at: number;
  readonly holder: string;
}

/**
 * Those that must go for no more than `maxBytes` to be left: of whoever holds more than a fair share, the oldest. A holder of
 * less loses nothing, and what it leaves is the others' (max-min fairness).
 */
export function surplus<T extends Held>(blobs: readonly T[], maxBytes: number): T[] {
  const bytes = new Map<string, number>();
  for (const { holder, size } of blobs) bytes.set(holder, (bytes.get(holder) ?? 0) + size);
  const share = fairShare([...bytes.values()], maxBytes);
  return [...blobs]
    .sort((a, b) => a.at - b.at)
    .filter(({ holder, size }) => {
      const held = bytes.get(holder)!;
      if (held <= share) return false;
      bytes.set(holder, held - size);
      return true;
    });
}

/** The most that each may hold for all of it to fit. */
function fairShare(held: readonly number[], room: number): number {
  let left = room;
  for (const [i, bytes] of held.toSorted((a, b) => a - b).entries()) {
    const share = left / (held.length - i);
    if (bytes > share) return share;
    left -= bytes;
  }
  return Infinity;
}
