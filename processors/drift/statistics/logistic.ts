/**
 * Logistic regression with a penalty on the weights, by Newton's method. Equal to scikit-learn's
 * LogisticRegression(C=1/penalty, class_weight='balanced') on rows that are scaled alike.
 */
export interface Logistic {
  readonly weights: Float64Array;
  readonly intercept: number;
}

const mostSteps = 50;
const enough = 1e-10;

/** `rows` of the same length; `labels` true or false, some of both. Minimises Σ s·log(1 + exp(−y·f)) + penalty / 2 · ‖w‖², s making the classes weigh alike. */
export function fitLogistic(rows: readonly ArrayLike<number>[], labels: readonly boolean[], penalty = 1): Logistic {
  const size = rows[0]!.length;
  const positives = labels.filter(Boolean).length;
  const share = [rows.length / (2 * (rows.length - positives)), rows.length / (2 * positives)] as const;
  // A column of ones at the end, for the intercept, which is not penalised. In one piece of memory: this is where the time goes.
  const columns = size + 1;
  const x = new Float64Array(rows.length * columns).fill(1);
  rows.forEach((row, i) => x.set(row, i * columns));
  const w = new Float64Array(columns);
  for (let step = 0; step < mostSteps; step++) {
    const gradient = new Float64Array(columns);
    const hessian = Array.from({ length: columns }, () => new Float64Array(columns));
    for (let i = 0, at = 0; i < rows.length; i++, at += columns) {
      let f = 0;
      for (let a = 0; a < columns; a++) f += w[a]! * x[at + a]!;
      const p = 1 / (1 + Math.exp(-f));
      const s = share[labels[i] ? 1 : 0];
      const [slope, bend] = [s * (p - (labels[i] ? 1 : 0)), s * p * (1 - p)];
      for (let a = 0; a < columns; a++) {
        gradient[a]! += slope * x[at + a]!;
        const [line, by] = [hessian[a]!, bend * x[at + a]!];
        for (let b = 0; b <= a; b++) line[b]! += by * x[at + b]!;
      }
    }
    for (let a = 0; a < size; a++) {
      gradient[a]! += penalty * w[a]!;
      hessian[a]![a]! += penalty;
    }
    const by = solve(hessian, gradient);
    let largest = 0;
    for (let a = 0; a < columns; a++) {
      w[a]! -= by[a]!;
      largest = Math.max(largest, Math.abs(by[a]!));
    }
    if (largest < enough) break;
  }
  return { weights: w.slice(0, size), intercept: w[size]! };
}

/** Log odds of being of the positive class. */
export function logOdds({ weights, intercept }: Logistic, row: ArrayLike<number>): number {
  let f = intercept;
  for (let i = 0; i < weights.length; i++) f += weights[i]! * row[i]!;
  return f;
}

/** Of a symmetric, positive definite matrix, given its lower half, which is overwritten: Cholesky. */
function solve(matrix: readonly Float64Array[], right: Float64Array): Float64Array {
  const n = right.length;
  const x = Float64Array.from(right);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i]![j]!;
      for (let k = 0; k < j; k++) sum -= matrix[i]![k]! * matrix[j]![k]!;
      // All but singular: a class that is told apart beyond doubt leaves nothing to curve.
      matrix[i]![j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / matrix[j]![j]!;
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= matrix[i]![k]! * x[k]!;
    x[i]! /= matrix[i]![i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i]! -= matrix[k]![i]! * x[k]!;
    x[i]! /= matrix[i]![i]!;
  }
  return x;
}
