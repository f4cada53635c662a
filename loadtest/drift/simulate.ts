/** Windows drawn one after the other, judged and watched by drift's own code. */
import { noWatch, watchWindow } from '../../processors/drift/alerts.ts';
import { noExamples } from '../../processors/drift/examples.ts';
import { uniform } from '../../processors/drift/statistics/random.ts';
import { type Judgement, judge } from '../../processors/drift/verdict.ts';
import type { Alert, DriftWindow } from '../../schemas/records.ts';
import { modelNames } from './answers.ts';
import { type Scene, type Stretch, summed, unchanged, type World } from './scenes.ts';

const windowMs = 300_000;
const windowsOfAMonth = (30 * 86_400_000) / windowMs;
const longest = 12;

export function judged(world: World, part: readonly Stretch[], start: number, alpha: number): Record<string, Judgement> {
  return Object.fromEntries(modelNames.map((model) => [model, judge({ span: '5m', start, end: start + windowMs, total: summed(part, model), blocks: [], examples: noExamples(), late: 0 }, world.normals[model], alpha, 'all')]));
}

/** A camera with its alert, a window of both models at a time. */
function camera(world: World, alpha: number) {
  const watch = noWatch();
  let at = 0;
  return (part: readonly Stretch[]): { readonly alert: Alert | null; readonly drifted: boolean } => {
    let alert: Alert | null = null;
    let drifted = false;
    for (const [model, { features, sentence }] of Object.entries(judged(world, part, at, alpha))) {
      const window = { id: `${model}/${at}`, tenant: 't', source: 's', model, version: '1', start: at, end: at + windowMs, verdict: sentence ? 'drifted' : 'stable', features, sentence, examples: [] } as unknown as DriftWindow;
      drifted ||= sentence !== null;
      alert = watchWindow(watch, window) ?? alert;
    }
    at += windowMs;
    return { alert, drifted };
  };
}

export function falseAlarms(world: World, { windows, alpha }: { readonly windows: number; readonly alpha: number }) {
  const random = uniform(77);
  const show = camera(world, alpha);
  const open = new Set<string>();
  let drifted = 0;
  for (let i = 0; i < windows; i++) {
    const { alert, drifted: called } = show(unchanged.draw(world, random));
    if (called) drifted += 1;
    if (alert) open.add(alert.id);
  }
  const months = windows / windowsOfAMonth;
  return { alarms: open.size, months, alarmsAMonth: open.size / months, windowShare: drifted / windows };
}

/** How many trials see the scene within 3 and within 12 windows, after how many on average, and in what. */
export function sight(world: World, scene: Scene, { trials, alpha }: { readonly trials: number; readonly alpha: number }) {
  const random = uniform(99);
  const delays: number[] = [];
  const named = new Map<string, number>();
  for (let trial = 0; trial < trials; trial++) {
    const show = camera(world, alpha);
    for (let before = 0; before < 2; before++) show(unchanged.draw(world, random));
    for (let window = 1; window <= longest; window++) {
      const { alert } = show(scene.draw(world, random));
      if (alert?.status !== 'firing') continue;
      delays.push(window);
      for (const feature of alert.features) named.set(feature, (named.get(feature) ?? 0) + 1);
      break;
    }
  }
  return {
    within3: delays.filter((delay) => delay <= 3).length / trials,
    within12: delays.length / trials,
    delay: delays.length === 0 ? null : delays.reduce((sum, delay) => sum + delay, 0) / delays.length,
    features: [...named].toSorted(([, a], [, b]) => b - a).slice(0, 3).map(([name]) => name),
  };
}
