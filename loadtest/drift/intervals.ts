/** How sure a measured rate is, at 95 %. */

const z = 1.96;

/** Of a share of trials. Source: Wilson, 1927. */
export function shareBetween(hits: number, trials: number): [low: number, high: number] {
  const share = hits / trials;
  const middle = (share + z ** 2 / (2 * trials)) / (1 + z ** 2 / trials);
  const half = (z / (1 + z ** 2 / trials)) * Math.sqrt((share * (1 - share)) / trials + z ** 2 / (4 * trials ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** Of events in a time, for a unit of it. Source: Garwood's limits of a Poisson count, as Wilson and Hilferty (1931) approximate them. */
export function rateBetween(events: number, time: number): [low: number, high: number] {
  const limit = (n: number, sign: 1 | -1): number => (n === 0 ? 0 : n * (1 - 1 / (9 * n) + (sign * z) / (3 * Math.sqrt(n))) ** 3);
  return [limit(events, -1) / time, limit(events + 1, 1) / time];
}
