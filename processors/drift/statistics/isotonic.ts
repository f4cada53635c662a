/**
 * The rising step function nearest to values, by weighted squares: neighbours that fall are pooled until none does. A value
 * of weight 0 takes that of what lies before it. Source: Ayer et al., 1955 (pool adjacent violators); equal to
 * sklearn.isotonic.isotonic_regression.
 */
export function isotonic(values: readonly number[], weights: readonly number[]): number[] {
  const pools: { mean: number; weight: number; length: number }[] = [];
  values.forEach((value, i) => {
    const weight = weights[i]!;
    const before = pools.at(-1);
    if (weight === 0 && before) {
      before.length += 1;
      return;
    }
    pools.push({ mean: value, weight, length: 1 });
    for (let last = pools.at(-1)!, other = pools.at(-2); other && (other.weight === 0 || other.mean >= last.mean); last = pools.at(-1)!, other = pools.at(-2)) {
      pools.pop();
      const sum = other.weight + last.weight;
      if (sum > 0) other.mean = (other.mean * other.weight + last.mean * last.weight) / sum;
      other.weight = sum;
      other.length += last.length;
    }
  });
  return pools.flatMap(({ mean, length }) => Array.from({ length }, () => mean));
}
