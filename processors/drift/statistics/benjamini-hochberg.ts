/**
 * P-values adjusted for having been looked at together, in their order: reject those up to α and the share of false ones among
 * the rejected is α at most, in expectation. NaN (nothing to say) stays NaN and does not count.
 * Source: Benjamini & Hochberg, 1995; equal to scipy.stats.false_discovery_control(…, method='bh').
 */
export function benjaminiHochberg(pValues: readonly number[]): number[] {
  const order = pValues.map((p, index) => ({ p, index })).filter(({ p }) => !Number.isNaN(p)).sort((a, b) => b.p - a.p);
  const adjusted = pValues.map(() => Number.NaN);
  let least = 1;
  order.forEach(({ p, index }, rank) => {
    least = Math.min(least, (p * order.length) / (order.length - rank));
    adjusted[index] = least;
  });
  return adjusted;
}
