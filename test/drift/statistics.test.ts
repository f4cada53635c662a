import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { benjaminiHochberg } from '../../processors/drift/statistics/benjamini-hochberg.ts';
import { jensenShannon, kolmogorovSmirnov, psi } from '../../processors/drift/statistics/divergence.ts';
import { fourierFeatures, fourierSize, mapEmbedding, projectedSize } from '../../processors/drift/statistics/embedding-map.ts';
import { meanShift, mmd } from '../../processors/drift/statistics/mean-shift.ts';
import { normal, uniform } from '../../processors/drift/statistics/random.ts';
import { excessProbability, fitExcesses, fitRare, fitTail, pValue } from '../../processors/drift/statistics/tail.ts';

interface Counts {
  readonly reference: number[];
  readonly current: number[];
}

/** Made by test/reference/drift.py. */
const theirs = JSON.parse(readFileSync(new URL('../reference/drift.json', import.meta.url), 'utf8')) as {
  divergences: (Counts & { psi: number; js: number; ks: number })[];
  evidently_psi: (Counts & { psi: number })[];
  adjusted: { p: number[]; q: number[] }[];
  tails: { shape: number; scale: number; excesses: number[]; sf: number[] }[];
  embeddings: { frequencies: number[][]; reference: number[][]; current: number[][]; mean_shift: number; mmd: number }[];
};

const near = (ours: number, other: number, what: string): void => assert.ok(Math.abs(ours - other) <= 1e-6 * Math.max(1, Math.abs(other)), `${what}: ${ours}, not ${other}`);
const columns = (rows: readonly number[][]): number[][] => rows[0]!.map((_, i) => rows.map((row) => row[i]!));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: readonly number[]): number => Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)));

describe('the statistics of drift equal those of others', () => {
  test('PSI, Jensen-Shannon and Kolmogorov-Smirnov are NumPy’s and SciPy’s', () => {
    assert.ok(theirs.divergences.length >= 5);
    for (const { reference, current, ...expected } of theirs.divergences) {
      near(psi(reference, current), expected.psi, 'psi');
      near(jensenShannon(reference, current), expected.js, 'js');
      near(kolmogorovSmirnov(reference, current), expected.ks, 'ks');
    }
  });

  test('PSI is Evidently’s', () => {
    for (const { reference, current, psi: expected } of theirs.evidently_psi) near(psi(reference, current), expected, 'psi');
  });

  test('p-values are adjusted as SciPy adjusts them; one that says nothing stays out', () => {
    for (const { p, q } of theirs.adjusted) benjaminiHochberg(p).forEach((ours, i) => near(ours, q[i]!, 'q'));
    assert.deepEqual(benjaminiHochberg([0.01, Number.NaN, 0.04]), [0.02, Number.NaN, 0.04]);
    assert.deepEqual(benjaminiHochberg([]), []);
  });

  test('the tail is SciPy’s generalised Pareto distribution', () => {
    for (const { shape, scale, excesses, sf } of theirs.tails) excesses.forEach((excess, i) => near(excessProbability(excess, shape, scale), sf[i]!, `sf(${excess}; ${shape}, ${scale})`));
  });

  test('the mean’s shift and MMD are NumPy’s', () => {
    for (const { frequencies, reference, current, ...expected } of theirs.embeddings) {
      const [was, is] = [columns(reference), columns(current)];
      near(meanShift(was.map(mean), was.map(deviation), is.map(mean)), expected.mean_shift, 'mean shift');
      const features = (points: readonly number[][]): number[] => {
        const of = (point: readonly number[]): number[] => {
          const angles = frequencies.map((w) => w.reduce((sum, value, i) => sum + value * point[i]!, 0));
          return [...angles.map(Math.cos), ...angles.map(Math.sin)].map((value) => value / Math.sqrt(frequencies.length));
        };
        return columns(points.map(of)).map(mean);
      };
      near(mmd(features(reference), features(current)), expected.mmd, 'mmd');
    }
  });
});

describe('the statistics of drift at their ends', () => {
  test('the same is 0, whatever the sizes; nothing is not a number', () => {
    for (const distance of [psi, jensenShannon, kolmogorovSmirnov]) {
      assert.equal(distance([1, 2, 0, 3], [2, 4, 0, 6]), 0);
      assert.equal(distance([0, 0], [1, 2]), Number.NaN);
      assert.equal(distance([1, 2], [0, 0]), Number.NaN);
    }
    assert.equal(jensenShannon([1, 0], [0, 1]), 1);
    assert.equal(kolmogorovSmirnov([1, 0], [0, 1]), 1);
    assert.ok(Number.isFinite(psi([1, 0], [0, 1])));
  });

  test('a dimension that never varied does not count', () => {
    assert.equal(meanShift([0, 5], [0, 2], [9, 9]), 2);
    assert.equal(meanShift([1], [0], [2]), 0);
  });

  test('a p-value falls as the value grows, is never 0, and counts within what was seen', () => {
    const draw = uniform(3);
    const tail = fitTail(Array.from({ length: 1000 }, () => -Math.log(1 - draw())));
    const values = [0, 0.5, 1, 2, 3, 4, 6, 8, 12, 20, 1000];
    const p = values.map((value) => pValue(tail, value));
    p.forEach((each, i) => assert.ok(each > 0 && each <= 1 && (i === 0 || each <= p[i - 1]!), `${values[i]}: ${each}`));
    // Of an exponential distribution it is known: e^-8, twice over what a thousand values can count.
    const beyond = pValue(tail, 8);
    assert.ok(beyond > Math.exp(-8) / 4 && beyond < Math.exp(-8) * 8, `${beyond}`);
    assert.equal(pValue(tail, Number.NaN), Number.NaN);
  });

  test('of thousands of values some hundred are kept, which say the same', () => {
    const draw = uniform(4);
    const values = Float64Array.from({ length: 2100 }, () => draw()).sort();
    const tail = fitTail(values);
    assert.ok(tail.sorted.length <= 200, `${tail.sorted.length} kept`);
    for (const value of [0, 0.1, 0.5, 0.85, values[1000]!]) {
      const exact = (1 + values.filter((each) => each >= value).length) / 2101;
      const p = pValue(tail, value);
      assert.ok(p >= exact && p < exact + 0.006, `${value}: ${p}, ${exact}`);
    }
    // Of what never varied: as unusual as so many values can count.
    assert.equal(pValue(fitTail(Array.from({ length: 2100 }, () => 0)), 1), 1 / 2101);
  });

  test('what is rare, and was never seen, is as unusual as it is large and as the reference is long', () => {
    const nothing = Float64Array.from({ length: 999 });
    assert.equal(pValue(fitRare(nothing, 99), 0), 1);
    assert.ok(Math.abs(pValue(fitRare(nothing, 99), 0.03) - Math.exp(-3) / 100) < 1e-12);
    assert.ok(Math.abs(pValue(fitRare(nothing, 999), 0.03) - Math.exp(-3) / 1000) < 1e-12);
    // Seen once, and for long, it is less so.
    assert.ok(pValue(fitRare([...nothing, 0.3], 999), 0.03) > 20 * pValue(fitRare(nothing, 999), 0.03));
  });

  test('what is rare is called so no more often than it should be', () => {
    const draw = uniform(8);
    const rare = (): number => (draw() < 0.05 ? -0.03 * Math.log(1 - draw()) : 0);
    const tail = fitRare(Array.from({ length: 2000 }, rare), 2000);
    const p = Array.from({ length: 200_000 }, () => pValue(tail, rare()));
    for (const level of [0.01, 0.001, 0.0001]) assert.ok(p.filter((each) => each <= level).length / p.length < 2 * level, `${level}`);
  });

  test('of few values or equal ones nothing is called impossible', () => {
    assert.equal(pValue(fitTail([1, 2, 3]), 100), 0.25);
    assert.equal(pValue(fitTail(Array.from({ length: 100 }, () => 0)), 0), 1);
    assert.ok(pValue(fitTail(Array.from({ length: 100 }, () => 0)), 1) > 0);
    const { shape, scale } = fitExcesses([1, 1, 1]);
    assert.ok(shape === 0 && scale === 1);
  });
});

describe('an embedding, mapped', () => {
  const draw = normal(1);
  const random = (length: number): Float32Array => Float32Array.from({ length }, () => Math.abs(draw()));

  test('has no length, and keeps distances roughly', () => {
    const [a, b] = [random(1280), random(1280)];
    const twice = mapEmbedding(a.map((value) => 2 * value))!;
    mapEmbedding(a)!.projected.forEach((value, i) => near(value, twice.projected[i]!, 'projected'));
    const unit = (v: Float32Array): number[] => [...v].map((value) => value / Math.hypot(...v));
    const apart = (x: ArrayLike<number>, y: ArrayLike<number>): number => Math.sqrt(Array.from(x).reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));
    const ratio = apart(mapEmbedding(a)!.projected, mapEmbedding(b)!.projected) / apart(unit(a), unit(b));
    assert.ok(ratio > 0.5 && ratio < 1.6, `${ratio}`);
  });

  test('is the same in every process and for ever', () => {
    const { projected, fourier } = mapEmbedding(Float32Array.from({ length: 8 }, (_, i) => i + 1))!;
    assert.equal(projected.length, projectedSize);
    assert.equal(fourier.length, fourierSize);
    assert.deepEqual([...projected.slice(0, 2), ...fourier.slice(0, 2)].map((value) => value.toFixed(6)), ['-0.047684', '-0.156782', '0.125125', '-0.071952']);
  });

  test('is nothing for an embedding without direction', () => {
    assert.equal(mapEmbedding(new Float32Array(4)), null);
    assert.equal(mapEmbedding(Float32Array.of(1, Number.NaN)), null);
    assert.equal(mapEmbedding(new Float32Array(0)), null);
  });

  test('its Fourier features have the kernel as their product', () => {
    const [x, y] = [random(projectedSize), random(projectedSize)].map((v) => [...v].map((value) => value * 0.02));
    const squared = x!.reduce((sum, value, i) => sum + (value - y![i]!) ** 2, 0);
    const kernel = mean([0.1, 0.25, 0.6].map((width) => Math.exp(-squared / (2 * width ** 2))));
    const [a, b] = [fourierFeatures(x!), fourierFeatures(y!)];
    const product = a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    near(a.reduce((sum, value) => sum + value * value, 0), 1, 'with itself');
    // 48 frequencies estimate it to a tenth or so.
    assert.ok(Math.abs(product - kernel) < 0.2, `${product}, ${kernel}`);
  });
});
