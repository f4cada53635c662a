/** What a window says beside its reference: which features have moved, in numbers and in a sentence, and which frames to look at. */
import type { DriftFeature } from '../../schemas/records.ts';
import { compare, deviationsOf, type Distance, meansOf, newcomersOf } from './compare.ts';
import { directionName } from './examples.ts';
import { classMix, domainFeature, embeddingMean, embeddingShape, groupOf, newClass, numericFeatures } from './features.ts';
import type { Normal, Tails } from './reference.ts';
import { type Sketch, valuesIn } from './sketch.ts';
import { benjaminiHochberg } from './statistics/benjamini-hochberg.ts';
import { pValue } from './statistics/tail.ts';
import type { ClosedWindow, Span } from './windows.ts';

export interface Judgement {
  readonly features: readonly DriftFeature[];
  /** Null where nothing has moved. */
  readonly sentence: string | null;
  readonly examples: readonly string[];
}

/** Classes a chart shows; the rest are left out of it, not of the statistic. */
const shownClasses = 20;
const toldOf = 3;
/** A smaller shift is of no use to anybody, however sure it is; in deviations of frames. */
const leastShift = 0.3;

const distancesOf = (window: ClosedWindow, normal: Normal, only: 'input' | 'all'): [string, Distance][] =>
  [...compare(normal.total, window.total)].filter(([name]) => only === 'all' || groupOf(name) === 'input');

/** As nobody has judged it. */
const featureOf = (name: string, { value }: Distance, window: ClosedWindow, normal: Normal): DriftFeature =>
  ({ name, group: groupOf(name), statistic: statisticOf(name), value, p: null, q: null, moved: false, ...chartOf(name, normal.total, window.total) });

/** A window beside what is normal, for the eye alone: what chance does to one of its length, which takes a second to work out, is not asked. */
export const chartsOf = (window: ClosedWindow, normal: Normal, only: 'input' | 'all'): readonly DriftFeature[] =>
  distancesOf(window, normal, only).map(([name, distance]) => featureOf(name, distance, window, normal));

/**
 * Compares a window with what is normal. `alpha`: the share of false ones among the features that are said to have moved.
 * `only`: 'input' where the reference is of another version of the model, whose answers are no measure of these.
 */
export async function judge(window: ClosedWindow, normal: Normal, alpha: number, only: 'input' | 'all'): Promise<Judgement> {
  const tails = await normal.tails(window.total.frames, window.end - window.start);
  const found = distancesOf(window, normal, only);
  // A sum has no blocks by which a classifier could confirm its embedding, which then accuses nobody.
  const p = found.map(([name, distance]) => (window.blocks.length === 0 && groupOf(name) === 'embedding' ? Number.NaN : unusual(tails.get(name), distance)));
  const q = benjaminiHochberg(p);
  const features = found.map(([name, distance], i) => {
    const moved = q[i]! <= alpha && (distance.value >= leastOf(name) || distance.shift >= leastShift);
    return { ...featureOf(name, distance, window, normal), p: number(p[i]!), q: number(q[i]!), moved };
  });
  // Only asked to confirm: what it costs, a thousand sums like the others do not.
  const domain = features.some(({ moved, group }) => moved && group === 'embedding') ? await judgeDomain(window, normal) : null;
  if (domain && !domain.moved) for (const feature of features) if (feature.group === 'embedding') feature.moved = false;
  // The most unusual first; of equally unusual ones, the easier to understand.
  const moved = features.filter((each) => each.moved).sort((a, b) => a.p! - b.p! || order(a.name) - order(b.name));
  return {
    features: domain ? [...features, domain] : features,
    sentence: moved.length === 0 ? null : sentenceOf(moved, domain, window.span),
    examples: [...new Set(moved.flatMap((feature) => framesOf(feature, window, normal.total)))].slice(0, 6),
  };
}

/** A window that a classifier tells from the reference no better than one in so many windows of the reference's own is not another world. */
const confirming = 0.05;

/** How well a classifier tells frames of the window from those of the reference, and how unusual that is. Null where there is nothing to learn from. */
async function judgeDomain(window: ClosedWindow, { domain, runLike }: Normal): Promise<DriftFeature | null> {
  const area = domain?.auc(window.blocks) ?? Number.NaN;
  if (Number.isNaN(area)) return null;
  const tail = await domain!.tail(runLike(window.total.frames, window.end - window.start));
  // Of a reference with samples of few blocks, as one made before they were taken: by so few nothing can be unusual enough to confirm anything.
  if (tail.sorted.length < 1 / confirming) return null;
  const p = pValue(tail, area);
  return { name: domainFeature.name, group: domainFeature.group, statistic: domainFeature.statistic, value: area, p, q: null, moved: p <= confirming, mean: null, reference_mean: null, edges: [], labels: [], now: [], reference: [] };
}

/** The p-value of a distance: of what is the more unusual of its two parts, doubled for having looked at both. */
function unusual(tails: Tails | undefined, { value, shift }: Distance): number {
  if (!tails) return Number.NaN;
  const [byValue, byShift] = [pValue(tails.value, value), pValue(tails.shift, shift)];
  return value === shift ? byValue : Math.min(1, 2 * Math.min(byValue, Number.isNaN(byShift) ? 1 : byShift));
}

const number = (value: number): number | null => (Number.isNaN(value) ? null : value);
const special = [newClass, classMix, embeddingMean, embeddingShape];
const all = [...numericFeatures, ...special];
const order = (name: string): number => all.findIndex((feature) => feature.name === name);
const leastOf = (name: string): number => all[order(name)]!.least;
const statisticOf = (name: string): string => all[order(name)]!.statistic;

type Chart = Pick<DriftFeature, 'mean' | 'reference_mean' | 'edges' | 'labels' | 'now' | 'reference'>;

/** The shares of both, by bin or by class; none for embeddings. */
function chartOf(name: string, reference: Sketch, current: Sketch): Chart {
  const none = { mean: null, reference_mean: null, edges: [], labels: [], now: [], reference: [] };
  if (name === classMix.name) {
    const [was, is] = [sharesOfClasses(reference), sharesOfClasses(current)];
    const labels = [...new Set([...is.keys(), ...was.keys()])].sort((a, b) => Math.max(is.get(b) ?? 0, was.get(b) ?? 0) - Math.max(is.get(a) ?? 0, was.get(a) ?? 0)).slice(0, shownClasses);
    return { ...none, labels, now: labels.map((label) => is.get(label) ?? 0), reference: labels.map((label) => was.get(label) ?? 0) };
  }
  if (name === newClass.name) {
    const found = newcomersOf(reference, current).slice(0, shownClasses);
    return { ...none, labels: found.map(({ label }) => label), now: found.map(({ rate }) => rate), reference: found.map(({ was }) => was) };
  }
  const feature = numericFeatures.find((each) => each.name === name);
  if (!feature) return none;
  const [was, is] = [reference.numeric[name]!, current.numeric[name]!];
  const shares = (counts: readonly number[], n: number): number[] => counts.map((count) => count / n);
  const [n, m] = [valuesIn(is), valuesIn(was)];
  return { ...none, mean: is.sum / n, reference_mean: was.sum / m, edges: feature.bins.edges(), now: shares(is.counts, n), reference: shares(was.counts, m) };
}

function sharesOfClasses({ classes }: Sketch): Map<string, number> {
  const n = Object.values(classes).reduce((sum, count) => sum + count, 0);
  return new Map(Object.entries(classes).filter(([, count]) => count > 0).map(([label, count]) => [label, count / n]));
}

function sentenceOf(moved: readonly DriftFeature[], domain: DriftFeature | null, span: Span): string {
  const told = moved.slice(0, toldOf).map((feature) => reasonOf(feature, domain));
  const more = moved.length - told.length;
  const text = `${span === '1h' ? 'over an hour: ' : ''}${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}.`;
  return text[0]!.toUpperCase() + text.slice(1);
}

/** One feature in words: what has changed, from what to what. */
function reasonOf({ name, value, mean, reference_mean, labels, now, reference }: DriftFeature, domain: DriftFeature | null): string {
  const confirmed = domain?.moved ? `; a classifier tells them from those of before, AUC ${domain.value.toFixed(2)}` : '';
  if (name === embeddingMean.name) return `to the model the pictures look different (its embedding has moved by ${value.toFixed(2)} deviations${confirmed})`;
  if (name === embeddingShape.name) return `to the model the pictures look different (distribution of its embedding, MMD² ${value.toFixed(3)}${confirmed})`;
  if (name === newClass.name) return `'${labels[0]}' is new: ${short(100 * now[0]!)} of it in 100 frames, and ${reference[0] === 0 ? 'never' : 'hardly ever'} before`;
  if (name === classMix.name) {
    const most = indexOfLargest(now.map((share, i) => Math.abs(share - reference[i]!)));
    return `'${labels[most]}' is ${percent(now[most]!)} of what is seen instead of ${percent(reference[most]!)}`;
  }
  const { rose, fell } = numericFeatures.find((feature) => feature.name === name)!;
  if (name === 'empty' || name === 'unreadable') return `${mean! > reference_mean! ? rose : fell} (${percent(mean!)} instead of ${percent(reference_mean!)})`;
  return `${mean! > reference_mean! ? rose : fell} (${name.replace('_', ' ')} ${short(mean!)} instead of ${short(reference_mean!)})`;
}

const percent = (share: number): string => `${share > 0 && share < 0.01 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`;
const short = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(2));
const indexOfLargest = (values: readonly number[]): number => values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);

/** Frames that show the change: the far end of the feature on the side to which it moved. */
function framesOf({ name, mean, reference_mean, labels, now, reference }: DriftFeature, { examples, total }: ClosedWindow, normal: Sketch): string[] {
  if (name === classMix.name) {
    const frame = examples.classes[labels[indexOfLargest(now.map((share, i) => share - reference[i]!))]!];
    return frame ? [frame] : [];
  }
  if (name === newClass.name) {
    const frame = examples.classes[labels[0]!];
    return frame ? [frame] : [];
  }
  if (name === embeddingMean.name || name === embeddingShape.name) {
    const [was, is, deviation] = [meansOf(normal.embedding!), meansOf(total.embedding!), deviationsOf(normal.embedding!)];
    const dimension = indexOfLargest(is.map((value, i) => (deviation[i]! > 0 ? Math.abs(value - was[i]!) / deviation[i]! : 0)));
    const extreme = examples.extremes[directionName(dimension)];
    return extreme ? [(is[dimension]! > was[dimension]! ? extreme.most : extreme.least).frame] : [];
  }
  const extreme = examples.extremes[name];
  return extreme ? [(mean! > reference_mean! ? extreme.most : extreme.least).frame] : [];
}
