/** What a process says of itself once it is up. */
import type { Model } from '../schemas/model-card.ts';
import { describeTopic } from '../schemas/topics.ts';
import { family, type Step } from './runtime/wiring.ts';
import type { ServedModels } from './served-models.ts';
import type { Settings } from './settings.ts';

export interface Announcement {
  readonly settings: Settings;
  readonly models: readonly Model[];
  /** Null in a process that does not infer. */
  readonly served: Pick<ServedModels, 'describe' | 'engine' | 'unchecked'> | null;
  /** What is not served as it was asked for, by `model NAME`. */
  readonly degraded: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
  readonly cache: string;
  /** How faces are covered; null where they are not. */
  readonly faces: string | null;
  readonly say: (line: string) => void;
}

export function announce({ settings: s, models, served, degraded, steps, cache, faces, say }: Announcement): void {
  // One that was loaded while others ran, and cannot be here, ends no process.
  const described = models.map(({ card: { name, version } }) => (served ? (served.describe(name) ?? `${name} does not answer here`) : `${name}@${version}`));
  say(`models      ${described.join(', ')}${served ? `; ${served.engine.workers} workers` : ''}`);
  for (const [about, trouble] of Object.entries(degraded)) say(`!! ${about}: ${trouble}`);
  for (const model of served?.unchecked() ?? []) say(`!! ${model} answers unchecked: its card names no golden image`);
  say(`cache       ${cache}`);
  if (faces) say(`faces       ${faces}`);
  say(`stages      ${s.SACCADE_STAGES.join(', ')}${s.SACCADE_FUSE?.length ? ` (fused: ${s.SACCADE_FUSE.map((pair) => pair.join('+')).join(', ')})` : ''}`);
  for (const [first, second] of s.SACCADE_FUSE ?? []) {
    for (const topic of new Set(steps.filter((step) => family(step) === second && step.bypassable !== false).map(({ from }) => from))) {
      const others = describeTopic(topic)?.consumers.filter((reader) => reader !== second) ?? [];
      if (others.length > 0) say(`!! ${first}+${second} fused: this process does not write ${topic}, so ${others.join(', ')} get nothing of it`);
    }
  }
}
