/** How far a cloud of points has moved, and whether it has changed its shape, from sums over the points: sums can be added up. */

/**
 * How far the mean of points has moved, in standard deviations of the reference, over all dimensions: √(Σ ((c − r) / σ)² / d).
 * Means and deviations by dimension; a dimension that never varied in the reference is left out. 0 and up.
 */
export function meanShift(reference: ArrayLike<number>, deviation: ArrayLike<number>, current: ArrayLike<number>): number {
  let [squares, dimensions] = [0, 0];
  for (let i = 0; i < reference.length; i++) {
    if (!(deviation[i]! > 0)) continue;
    squares += ((current[i]! - reference[i]!) / deviation[i]!) ** 2;
    dimensions += 1;
  }
  return dimensions === 0 ? 0 : Math.sqrt(squares / dimensions);
}

/**
 * Maximum mean discrepancy (its square, the biased estimate) of two sets of points, from the means of their random Fourier
 * features: ‖c − r‖². 0 and up. Sources: Gretton et al., A Kernel Two-Sample Test, 2012; Rahimi & Recht, Random Features for
 * Large-Scale Kernel Machines, 2007; together: Zhao & Meng, FastMMD, 2015.
 */
export function mmd(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < reference.length; i++) squares += (current[i]! - reference[i]!) ** 2;
  return squares;
}
