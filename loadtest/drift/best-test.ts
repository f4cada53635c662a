/**
 * How often the best of all tests would see a changed class mix: what is beyond it, no detector can do. None is better than the
 * likelihood ratio (Neyman & Pearson, 1933), and this one knows what no detector knows: each stretch of the camera, how the mix changes and by how
 * much. It is asked once an hour, about three windows, and errs once a month. Of what stretches the hour is made it does not know
 * either; it goes through the hours that may be behind what it sees, by Metropolis' algorithm (1953).
 */
import { uniform } from '../../processors/drift/statistics/random.ts';
import { countsOfCommonest, deviations, windowStretches, type World } from './scenes.ts';

const seen = 3 * windowStretches;
const hoursOfAMonth = 720;
const unchangedHours = 20_000;
const changedHours = 1_000;
/** Steps from hour to hour: those to forget where it began, those in all, and every how manieth counts. */
const walk = { forget: 500, steps: 3_000, every: 20 } as const;

export interface BestTest {
  /** Share of changed hours that are called changed. */
  readonly power: number;
  /** How far the change moves the mean of three windows, in standard deviations of what that is in unchanged hours. */
  readonly deviations: number;
}

/** `tilt`: how much likelier a stretch is by each deviation that it has more of the commonest class, as a logarithm. */
export function bestTest({ judged }: World, tilt: number, seed: number): BestTest {
  const random = uniform(seed);
  const counts = countsOfCommonest(judged);
  const kinds = counts.map((_, kind) => kind);
  const usual = deviations(counts, kinds.map(() => 1));
  const any = (): number => Math.floor(random() * kinds.length);

  /** How often each stretch is seen in three windows of an hour. */
  function hour(changed: boolean): number[] {
    const pool = kinds.map(() => 0);
    for (const _ of kinds) pool[any()]! += 1;
    const z = deviations(counts, pool);
    const weights = pool.map((n, kind) => (changed ? n * Math.exp(tilt * z[kind]!) : n));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const times = kinds.map(() => 0);
    for (let i = 0; i < seen; i++) {
      let left = random() * total;
      const kind = weights.findIndex((weight) => weight > 0 && (left -= weight) <= 0);
      times[kind < 0 ? weights.findLastIndex((weight) => weight > 0) : kind]! += 1;
    }
    return times;
  }

  const middle = (times: readonly number[]): number => times.reduce((sum, n, kind) => sum + n * usual[kind]!, 0) / seen;

  /** Logarithm of how much likelier it is when the mix has changed. */
  function likelihoodRatio(times: readonly number[]): number {
    const pool = times.map((n): number => (n > 0 ? 1 : 0));
    for (let left = kinds.length - pool.reduce((sum, n) => sum + n, 0); left > 0; left--) pool[any()]! += 1;
    let [sum, counted] = [0, 0];
    for (let step = 0; step < walk.steps; step++) {
      const [from, to] = [any(), any()];
      const [f, t] = [pool[from]!, pool[to]!];
      if (from !== to && f > (times[from]! > 0 ? 1 : 0)) {
        let likelier = Math.log(f / (t + 1));
        if (times[from]! > 0) likelier += times[from]! * Math.log((f - 1) / f);
        if (times[to]! > 0) likelier += times[to]! * Math.log((t + 1) / t);
        if (Math.log(random()) < likelier) [pool[from], pool[to]] = [f - 1, t + 1];
      }
      if (step < walk.forget || step % walk.every !== 0) continue;
      const z = deviations(counts, pool);
      const weight = pool.reduce((all, n, kind) => all + n * Math.exp(tilt * z[kind]!), 0) / kinds.length;
      sum += Math.exp(times.reduce((all, n, kind) => all + n * tilt * z[kind]!, 0) - seen * Math.log(weight));
      counted += 1;
    }
    return Math.log(sum / counted);
  }

  const [quiet, loud] = [Array.from({ length: unchangedHours }, () => hour(false)), Array.from({ length: changedHours }, () => hour(true))];
  const power = (statistic: (times: readonly number[]) => number): number => {
    const limit = quiet.map(statistic).sort((a, b) => b - a)[Math.floor(unchangedHours / hoursOfAMonth)]!;
    return loud.filter((times) => statistic(times) > limit).length / changedHours;
  };
  const [before, after] = [quiet.map(middle), loud.map(middle)];
  // The ratio is itself drawn by chance, which costs it something; where the mean alone does better, that is what can be done.
  return { power: Math.max(power(likelihoodRatio), power(middle)), deviations: (mean(after) - mean(before)) / deviation(before) };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: readonly number[]): number => {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
};
