import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { SaccadeError } from '../../connectors/errors.ts';
import type { Block } from '../../processors/drift/blocks.ts';
import { calibrate, type Judged, leastJudged, stepsOf } from '../../processors/drift/calibration.ts';
import { domainAuc, domainClassifier } from '../../processors/drift/domain-classifier.ts';
import { confidenceBins } from '../../processors/drift/features.ts';
import { readLabels } from '../../processors/drift/labels.ts';
import { accuracyOf, estimatePerformance } from '../../processors/drift/performance.ts';
import { joinBlocks } from '../../processors/drift/reference.ts';
import { emptySketch, type Sketch } from '../../processors/drift/sketch.ts';
import { auc } from '../../processors/drift/statistics/auc.ts';
import { isotonic } from '../../processors/drift/statistics/isotonic.ts';
import { fitLogistic } from '../../processors/drift/statistics/logistic.ts';
import { normal } from '../../processors/drift/statistics/random.ts';
import { pValue } from '../../processors/drift/statistics/tail.ts';
import { add, noWindows } from '../../processors/drift/windows.ts';
import { stream, usual, type World } from '../support/drift.ts';

/** Made by test/reference/drift_models.py. */
const theirs = JSON.parse(readFileSync(new URL('../reference/drift-models.json', import.meta.url), 'utf8')) as {
  regressions: { rows: number[][]; labels: boolean[]; weights: number[]; intercept: number }[];
  domains: { reference: number[][][]; now: number[][][]; auc: number }[];
  areas: { scores: number[]; labels: boolean[]; auc: number }[];
  isotonic: { values: number[]; weights: number[]; fitted: number[] }[];
  accuracies: { scores: number[]; right: boolean[]; now: number[]; accuracy: number }[];
};
const near = (ours: number, other: number, what: string): void => assert.ok(Math.abs(ours - other) <= 1e-6, `${what}: ${ours}, not ${other}`);
const countsOf = (scores: readonly number[]): number[] => {
  const counts = Array.from({ length: confidenceBins.count }, () => 0);
  for (const score of scores) counts[confidenceBins.of(score)]! += 1;
  return counts;
};

describe('what is learnt equals scikit-learn’s and NannyML’s', () => {
  test('logistic regression', () => {
    for (const { rows, labels, weights, intercept } of theirs.regressions) {
      const ours = fitLogistic(rows, labels, 10);
      ours.weights.forEach((weight, i) => near(weight, weights[i]!, `weight ${i}`));
      near(ours.intercept, intercept, 'intercept');
    }
  });

  test('area under the ROC curve, with ties', () => {
    for (const { scores, labels, auc: expected } of theirs.areas) near(auc(scores, labels), expected, 'auc');
    assert.ok(Number.isNaN(auc([1, 2], [true, true])));
  });

  test('the domain classifier, cross-validated on blocks', () => {
    for (const { reference, now, auc: expected } of theirs.domains) near(domainAuc(reference, now), expected, 'auc');
  });

  test('isotonic regression; values without weight take those before them', () => {
    for (const { values, weights, fitted } of theirs.isotonic) isotonic(values, weights).forEach((value, i) => near(value, fitted[i]!, `step ${i}`));
    assert.deepEqual(isotonic([0, 0.5, 0, 0.25, 0.9, 0], [0, 1, 0, 1, 1, 0]), [0.375, 0.375, 0.375, 0.375, 0.9, 0.9]);
  });

  test('the accuracy that NannyML estimates', () => {
    for (const { scores, right, now, accuracy } of theirs.accuracies) {
      const calibration = calibrate(scores.map((score, i): Judged => ({ score, right: right[i]! })), 0);
      near(accuracyOf(countsOf(now), stepsOf(calibration)), accuracy, 'accuracy');
    }
  });
});

describe('the domain classifier', () => {
  const blocksOf = (seed: number, frames: number, world: Partial<World> = {}): Block[] => {
    const windows = noWindows();
    return stream({ seed, frames, world: { ...usual, ...world } }).flatMap((frame) => add(windows, frame)).filter(({ span }) => span === '5m').flatMap(({ blocks }) => [...blocks]);
  };
  const reference = blocksOf(80, 4 * 3600 * 3);
  const classifier = domainClassifier(() => reference)!;

  test('tells nothing of the same world apart, and knows another one', async () => {
    const same = [81, 82, 83].map((seed) => classifier.auc(blocksOf(seed, 1400)));
    const tail = await classifier.tail(10);
    for (const area of same) assert.ok(pValue(tail, area) > 0.02, `${same}`);
    const [look, dark] = [{ look: 0.6 }, { luma: 90 }].map((world) => classifier.auc(blocksOf(84, 1400, world)));
    for (const area of [look!, dark!]) assert.ok(area > 0.9 && pValue(tail, area) < 0.05, `${look}, ${dark}`);
  });

  test('beside a reference whose blocks were joined goes by the time of a window, which a shorter stretch tells apart by chance more often', async () => {
    const joined = domainClassifier(() => joinBlocks(reference, 36))!;
    const [short, long] = [await joined.tail(1), await joined.tail(9)];
    assert.ok(short.sorted.length >= 20 && short.threshold > long.threshold, `${short.threshold}, ${long.threshold}`);
    assert.ok(pValue(short, joined.auc(blocksOf(84, 1400, { luma: 90 }))) < 0.05);
  });

  test('says nothing where there is nothing to learn from', () => {
    assert.equal(domainClassifier(() => blocksOf(85, 4 * 3600).map((block) => Object.assign(block, { samples: undefined }))), null);
    assert.ok(Number.isNaN(classifier.auc([])));
  });
});

describe('estimated accuracy', () => {
  /** The normal distribution's, by the logistic one: near enough. */
  const cumulative = (x: number): number => 1 / (1 + Math.exp(-1.702 * x));

  /** Answers whose confidence follows slow swings, right as often as their confidence to the power of `worth` says; who errs in a frame errs in its neighbours. */
  function world(seed: number, blocks: number, middle: number, worth = 1.5): { blocks: Sketch[]; answers: Judged[] } {
    const bell = normal(seed);
    const answers: Judged[] = [];
    const sketches = Array.from({ length: blocks }, () => {
      const [swing, luck] = [0.05 * bell(), Math.sqrt(0.15) * bell()];
      const own = Array.from({ length: 50 }, (): Judged => {
        const score = Math.min(0.99, Math.max(0.01, middle + swing + 0.12 * bell()));
        return { score, right: cumulative(luck + Math.sqrt(0.85) * bell()) < score ** worth };
      });
      answers.push(...own);
      return { ...emptySketch(), numeric: { confidence: { counts: countsOf(own.map(({ score }) => score)), sum: 0 } } };
    });
    return { blocks: sketches, answers };
  }
  const total = (blocks: readonly Sketch[]): Sketch => ({ ...emptySketch(), numeric: { confidence: { counts: confidenceBins.edges().slice(1).map((_, i) => blocks.reduce((sum, { numeric }) => sum + numeric.confidence!.counts[i]!, 0)), sum: 0 } } });
  const learnt = world(1, 60, 0.65);
  const reference = total(learnt.blocks);
  const shareRight = (answers: readonly Judged[]): number => answers.filter(({ right }) => right).length / answers.length;

  for (const [what, middle] of [['as usual', 0.65], ['where the model is less sure', 0.5], ['where it is surer', 0.8]] as const) {
    test(`lies with its interval around the truth in about 95 of 100 windows, ${what}`, () => {
      let within = 0;
      const trials = 300;
      for (let trial = 0; trial < trials; trial++) {
        const judged = world(5000 + trial, 20, 0.65).answers;
        const window = world(100 + trial, 10, middle);
        const { accuracy, low, high } = estimatePerformance(window.blocks, reference, calibrate(judged, 0))!;
        assert.ok(low <= accuracy && accuracy <= high && low >= 0 && high <= 1);
        const truth = shareRight(window.answers);
        if (truth >= low && truth <= high) within += 1;
      }
      assert.ok(within / trials >= 0.9 && within / trials < 1, `${within} of ${trials}`);
    });
  }

  test('falls where the model is less sure, and names what is usual', () => {
    const calibration = calibrate(learnt.answers, 0);
    const [usually, worse] = [world(2, 10, 0.65), world(3, 20, 0.4)].map(({ blocks }) => estimatePerformance(blocks, reference, calibration)!);
    assert.ok(worse!.high < usually!.low, JSON.stringify([usually, worse]));
    near(usually!.normal, worse!.normal, 'normal');
    assert.ok(Math.abs(usually!.normal - shareRight(learnt.answers)) < 1e-6, 'of the answers it was learnt from, the share that was right');
  });

  test('is none of too few answers, and needs enough that are judged', () => {
    assert.equal(estimatePerformance([], reference, calibrate(learnt.answers, 0)), null);
    assert.throws(() => calibrate(learnt.answers.slice(0, leastJudged - 1), 0), (error: SaccadeError) => error.code === 'bad_request' && /99 answers/.test(error.detail));
  });
});

describe('labels', () => {
  const id = (n: number): string => `00000000-0000-8000-8000-00000000000${n}`;

  test('are a line for each, quoted or not; a frame may show several things or nothing', () => {
    const labels = readLabels(`frame_id,label\n${id(1)},cat\r\n${id(1)},"dog, ""big"""\n${id(2)},\n\n`);
    assert.deepEqual([...labels].map(([frame, of]) => [frame, [...of]]), [[id(1), ['cat', 'dog, "big"']], [id(2), []]]);
  });

  test('that cannot be read name their line', () => {
    for (const [text, line] of [[`${id(1)},cat\nfoo,cat`, 2], [`${id(1)}`, 1], [`${id(1)},cat,dog`, 1]] as const) {
      assert.throws(() => readLabels(text), (error: SaccadeError) => error.code === 'bad_request' && error.detail.includes(`Line ${line} `));
    }
  });
});
