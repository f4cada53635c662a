/** Windows drawn one after the other, judged and watched by drift's own code. */
import { noWatch, watchWindow } from '../../processors/drift/alerts.ts';
import { noExamples } from '../../processors/drift/examples.ts';
import { uniform } from '../../processors/drift/statistics/random.ts';
import { type Judgement, judge } from '../../processors/drift/verdict.ts';
import type { Alert, DriftWindow } from '../../schemas/records.ts';
import { modelNames } from './answers.ts';
import { rateBetween, shareBetween } from './intervals.ts';
import { anHour, blocksOf, type Scene, type Stretch, summed, unchanged, windowsOfAnHour, type World } from './scenes.ts';

const windowMs = 300_000;
export const windowsOfAMonth = (30 * 86_400_000) / windowMs;
const longest = 12;

export async function judged(world: World, part: readonly Stretch[], start: number, alpha: number): Promise<Record<string, Judgement>> {
  const judgements = modelNames.map(async (model) => [model, await judge({ span: '5m', start, end: start + windowMs, total: summed(part, model), blocks: blocksOf(part, model), examples: noExamples(), late: 0 }, world.normals[model], alpha, 'all')] as const);
  return Object.fromEntries(await Promise.all(judgements));
}

/** A camera with its alert, a window of both models at a time. */
function camera(world: World, alpha: number) {
  const watch = noWatch();
  let at = 0;
  return async (part: readonly Stretch[]): Promise<{ readonly alert: Alert | null; readonly drifted: boolean; readonly auc: number | undefined }> => {
    let alert: Alert | null = null;
    let drifted = false;
    let auc: number | undefined;
    for (const [model, { features, sentence }] of Object.entries(await judged(world, part, at, alpha))) {
      const window = { id: `${model}/${at}`, tenant: 't', source: 's', model, version: '1', start: at, end: at + windowMs, verdict: sentence ? 'drifted' : 'stable', features, sentence, examples: [] } as unknown as DriftWindow;
      drifted ||= sentence !== null;
      auc ??= features.find(({ name }) => name === 'domain')?.value;
      alert = watchWindow(watch, window) ?? alert;
    }
    at += windowMs;
    return { alert, drifted, auc };
  };
}

/** `windows`: of each world. */
export async function falseAlarms(worlds: readonly World[], { windows, alpha }: { readonly windows: number; readonly alpha: number }) {
  let drifted = 0;
  const byHalf: number[] = [];
  for (const world of worlds) {
    const random = uniform(77);
    const show = camera(world, alpha);
    const open = new Set<string>();
    let hour = world;
    for (let i = 0; i < windows; i++) {
      if (i % windowsOfAnHour === 0) hour = anHour(world, random);
      const { alert, drifted: called } = await show(unchanged.draw(hour, random));
      if (called) drifted += 1;
      if (alert) open.add(alert.id);
    }
    byHalf.push(open.size);
  }
  const all = windows * worlds.length;
  const [alarms, months] = [byHalf.reduce((sum, n) => sum + n, 0), all / windowsOfAMonth];
  return { alarms, months, byHalf, alarmsAMonth: alarms / months, between: rateBetween(alarms, months), windowShare: drifted / all };
}

/** How many trials (of each world) see the scene within 3 and within 12 windows, after how many on average, and in what. */
export async function sight(worlds: readonly World[], scene: Scene, { trials, alpha }: { readonly trials: number; readonly alpha: number }) {
  const delays: number[] = [];
  const named = new Map<string, number>();
  const areas: number[] = [];
  for (const world of worlds) {
    const random = uniform(99);
    for (let trial = 0; trial < trials; trial++) {
      const show = camera(world, alpha);
      const hour = anHour(world, random);
      for (let before = 0; before < 2; before++) await show(unchanged.draw(hour, random));
      for (let window = 1; window <= longest; window++) {
        const { alert, auc } = await show(scene.draw(hour, random));
        if (window === 1 && auc !== undefined) areas.push(auc);
        if (alert?.status !== 'firing') continue;
        delays.push(window);
        for (const feature of alert.features) named.set(feature, (named.get(feature) ?? 0) + 1);
        break;
      }
    }
  }
  const all = trials * worlds.length;
  const soon = delays.filter((delay) => delay <= 3).length;
  return {
    trials: all,
    within3: soon / all,
    between: shareBetween(soon, all),
    within12: delays.length / all,
    delay: delays.length === 0 ? null : mean(delays),
    auc: mean(areas),
    features: [...named].toSorted(([, a], [, b]) => b - a).slice(0, 3).map(([name]) => name),
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
